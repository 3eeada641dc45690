"""How examples are run: without a deadline, because no test judges by the clock, and with what is needed to run a failure again."""

from hypothesis import settings

settings.register_profile("crossmargin", deadline=None, print_blob=True)
settings.load_profile("crossmargin")
