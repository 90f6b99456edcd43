"""Text for people, logs and terminals: on one line, printable, not too long. Pure, and the same everywhere."""


def capitalized(text: object) -> str:
    """The text with its first letter in upper case, to begin a sentence."""
    return str(text)[:1].upper() + str(text)[1:]


def printable(text: str, characters: int = 1_000) -> str:
    """The text for logs and notifications: "?" for all that is not printable ASCII, and shortened."""
    return shortened("".join(character if " " <= character <= "~" else "?" for character in text), characters)


def shortened(text: str, characters: int) -> str:
    return text if len(text) <= characters else f"{text[: characters - 3]}..."
