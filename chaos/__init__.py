"""Everything goes wrong at once, and then the books must balance.

`python -m chaos --seed 7 --minutes 5`: a real nats-server, the Salesforce emulator, and
`workbench --headless` processes, with trouble of every kind drawn from the seed; at the end a
ledger of every published event. Exit code 1 where something is lost, doubled or claimed.
"""
