"""AWS on this machine: emulators, two web servers, and the network between them.

`aws` puts the rest together. `ec2`, `address_semantics`, `network_interfaces` and `address_refusals` are EC2, `server`
and `web_server` the two machines, `network` carries connections to them, `emulator` is everything else of AWS,
`deployment` deploys the real stack to it, `access` says who may call them, and `child_process` ends every process with
the process that started it.
"""
