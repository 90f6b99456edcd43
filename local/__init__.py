"""AWS on this machine: emulators, two web servers, and the network between them.

`aws` composes the rest. `ec2` and `address_semantics` are the addresses, `server` and `web_server` the two machines,
`network` carries connections from one to the other, `emulator` is everything else AWS does, `deployment` puts
the real stack onto it, and `leash` makes sure that no process outlives the one that started it.
"""
