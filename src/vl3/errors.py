"""The one exception that a user is meant to read."""


class UserError(Exception):
    """Something the user can mend: one line that says what was wrong and what to do about it.

    The command line prints it without a traceback and exits with status 2; the server turns it into a 4xx answer.
    Mistakes of ours are `assert`s or ordinary exceptions instead, and keep their traceback.
    """

    def __init__(self, message: str) -> None:
        super().__init__(" ".join(message.split()))
