"""`exchange control`: the operators' commands, sent over the core's link and logged like every other input.

from engine.control import requests
from engine.control.link import ControlLink, Target
with ControlLink(Target("127.0.0.1", 9001, instruments_digest(instruments))) as link:
    cancelled = link.send(requests.kill(7)).count
"""
