"""How this process speaks."""


class Mode:
    """Set once, by the process's command line.

    Attributes:
        is_json: Whether standard error has JSON.
        is_quiet: Whether only warnings and errors are printed.
    """

    is_json = False
    is_quiet = False
