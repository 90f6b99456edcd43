"""AWS on this machine: emulators, two web servers, and the network between them.

`aws` combines the rest. `ec2`, `address_semantics`, `network_interfaces` and `address_refusals` are EC2. `server` is
one of the two machines, with the web server of `examples/two-servers`; `instances` boots the others that are launched.
`routing` leads the Elastic IPs to all of them, over the `network`. `emulator` is the rest of AWS, and `deployment`
deploys the real stack to the emulator. `access` says who may call EC2 and the emulator. `child_process` ends every
process with the process that started it.
"""
