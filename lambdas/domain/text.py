"""Text for people, logs and terminals: on one line, printable, not too long. Pure."""

import re

# What chat applications may treat as a tag, a mention or a link: `<!channel>`, `<@U1>`, `@here`, `[text](address)`.
CHAT_MARKUP = re.compile(r"<|(?<!\w)@(?=\w)|(?<=])\(")


def capitalized(text: object) -> str:
    """The text with its first letter in upper case, to begin a sentence."""
    return str(text)[:1].upper() + str(text)[1:]


def printable(text: str, characters: int = 1_000) -> str:
    """Shortened, with "?" for all but printable ASCII. What chat applications act on is escaped: `\\x3c!channel>`."""
    ascii_text = "".join(character if " " <= character <= "~" else "?" for character in text)
    return shortened(CHAT_MARKUP.sub(lambda markup: f"\\x{ord(markup[0]):02x}", ascii_text), characters)


def shortened(text: str, characters: int) -> str:
    return text if len(text) <= characters else f"{text[: characters - 3]}..."
