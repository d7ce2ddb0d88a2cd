"""How this process speaks."""


class Mode:
    """Set once, by the process's command line.

    Attributes:
        is_json: Whether standard error has JSON.
        is_quiet: Whether only warnings and errors are printed.
        key: The key in use, which no error shows; empty if it is not known yet.
    """

    is_json = False
    is_quiet = False
    key = ""
