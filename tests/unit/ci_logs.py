"""What CI systems execute of the lines that a job prints, as GitHub's runner and Azure's agent parse them.

Source: actions/runner, `ActionCommand.cs` and `ActionCommandManager.cs`; Azure Pipelines, "Logging commands".
"""

import re

AT_THE_BEGINNING = re.compile(r"\s*::(?P<name>[\w-]+)(?: .*?)?::(?P<data>.*)")
ANYWHERE = re.compile(r"##(?:vso)?\[(?P<name>[\w.-]+)[^\]]*\](?P<data>.*)")
# What a server may answer: each is a command for one of them.
PAYLOADS = [
    "##[error]no", "it said ##[add-mask]a", "##[set-output name=outcome]CUT_OVER", "###[error]no", "##x##[error]no",
    "##vso[task.complete result=Failed;]no", "it said ##vso[task.setvariable variable=a]b", "::error::no",
    " \t::add-mask::a", "\u00a0\u3000::error file=a,line=1::no", "no\n::stop-commands::a",
    "no\r##[error]no\r\n::error::a",
]  # fmt: skip


def executed(log: str) -> list[str]:
    """The names of the commands that are executed, the ends of `stop-commands` included as `resumed`."""
    names: list[str] = []
    stopped_until = None
    for line in re.split("\r\n|\r|\n", log):
        command = AT_THE_BEGINNING.match(line) or ANYWHERE.search(line)
        if command and stopped_until is None:
            names.append(command["name"])
            if command["name"] == "stop-commands":
                stopped_until = command["data"]
        elif command and command["name"] == stopped_until:
            names.append("resumed")
            stopped_until = None
    return names
