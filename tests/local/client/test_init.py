"""`init`: from two addresses in EC2 to a configuration."""

from local.aws import LocalAws
from stacks.configuration.settings import configured
from tests.local.client.runs import Run

PRODUCTION, STAGING = "127.0.0.31", "127.0.0.32"  # no other test uses them


def test_init_prints_a_pair_for_cdk_json(aws: LocalAws, run: Run) -> None:
    instances = [aws.ec2.launch(name) for name in ("Web [blue]", "Web [green]")]
    for ip, instance in zip((PRODUCTION, STAGING), instances, strict=True):
        aws.ec2.associate(aws.ec2.allocate(ip), instance)
    done = run("init", "--production", PRODUCTION, "--staging", STAGING, "--name", "shop")
    settings = configured({"pairs": done.stdout}.get)
    assert settings.pairs["shop"].servers == dict(zip(("Web-blue", "Web-green"), instances, strict=True))
    assert "cdk.json" in done.stderr
