"""The objects in rendered corridors: their names, and the actions on them with their undo."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Action:
    """An action of the wearer on an object, which can be undone."""

    thing: str
    text: str
    undo: str
    narration: str


DOOR_COLOURS: dict[str, tuple[int, int, int]] = {  # BGR
    "red": (48, 44, 190),
    "blue": (176, 96, 40),
    "green": (72, 130, 50),
    "yellow": (50, 190, 225),
    "purple": (140, 60, 120),
    "white": (225, 228, 230),
}
POSTERS = ("sun", "moon", "tree", "mountain", "fish", "heart", "house", "sailing boat")
SIGNS = ("EXIT", "CAFE", "LIBRARY", "OFFICE", "LAB", "STUDIO")
PICKED_UP = ("red cup", "blue box", "yellow ball", "green bottle", "brown parcel")
HUNG_UP = ("yellow umbrella", "red coat", "green bag")

LANDMARKS: tuple[str, ...] = (
    *(f"{colour} door" for colour in DOOR_COLOURS),
    *(f"poster of a {what}" for what in POSTERS),
    *(f"{word} sign" for word in SIGNS),
    *("potted plant", "stairs", "lift", "vending machine", "bookshelf", "clock"),
    *("fire extinguisher", "window", "water cooler", "bench"),
)
# Objects for the wall at the end of a corridor: flat and recognisable from a distance.
AHEAD: tuple[str, ...] = (
    *(f"poster of a {what}" for what in POSTERS),
    *(f"{colour} door" for colour in DOOR_COLOURS),
    *("window", "clock", "lift"),
)

ACTIONS: tuple[Action, ...] = (
    *(
        Action(
            f"table with a {what}",
            f"picks up the {what}",
            f"puts the {what} back",
            f"I pick up the {what}",
        )
        for what in PICKED_UP
    ),
    *(
        Action(
            f"hook with a {what}",
            f"takes the {what} off its hook",
            f"hangs the {what} back on its hook",
            f"I take the {what} off its hook",
        )
        for what in HUNG_UP
    ),
    *(
        Action(
            f"{colour} locker",
            f"opens the {colour} locker",
            f"closes the {colour} locker",
            f"I open the {colour} locker",
        )
        for colour in ("orange", "grey")
    ),
    Action("glass door", "opens the glass door", "closes the glass door", "I open the glass door"),
    Action(
        "wooden door", "opens the wooden door", "closes the wooden door", "I open the wooden door"
    ),
    Action(
        "wall lamp",
        "switches the wall lamp on",
        "switches the wall lamp off",
        "I switch the wall lamp on",
    ),
    Action("fuse box", "opens the fuse box", "closes the fuse box", "I open the fuse box"),
)
ACROSS = frozenset({"glass door", "wooden door"})


def article(name: str) -> str:
    """Return the name with `the` in front, as in a narration."""
    return name if name == "stairs" else f"the {name}"
