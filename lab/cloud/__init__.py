"""The lab's cloud: instances are lab machines, every call is in a journal."""
