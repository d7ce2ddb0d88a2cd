"""Prompts: a few popular ones, most unique."""

from __future__ import annotations

from typing import TYPE_CHECKING

from connector.sandbox.draws import pick

if TYPE_CHECKING:
    from connector.sandbox.draws import Draws

# Most used first.
POPULAR = (
    "Increase dynamic",
    "a portrait",
    "make it move",
    "a teddy bear in sunglasses playing electric guitar",
    "Slow zoom in, cinematic lighting",
    "让画面动起来",
    "camera orbit left",
    "The person smiles and waves at the camera 👋",
    "A drone shot over a snowy mountain range at sunrise",
    "男人和女人拥抱在一起",
    "two people hug each other",
    "Product shot, rotating slowly on a white background",
    "кошка играет на пианино",
    "old family photo comes to life, gentle breeze",
    "a tiger walking in snow",
    "Un atardecer en la playa con olas suaves 🌅",
    "桜の花びらが舞い散る京都の路地",
    "The dragon breathes fire 🔥🔥🔥",
    "timelapse of a blooming flower",
    "파도가 치는 해변을 걷는 소녀",
    "Ein Zug fährt durch eine verschneite Landschaft",
    "قطة تمشي على الشاطئ عند الغروب",
    "astronaut riding a horse on the moon, 8k",
    "Une vieille horloge s'ouvre et révèle un jardin caché",
)
EMPTY = ""

_SUBJECTS = (
    "a red fox",
    "an old sailor",
    "a ballet dancer",
    "a humanoid robot",
    "a paper boat",
    "a street musician",
    "a vintage sports car",
    "a flock of starlings",
    "a glass chess set",
    "a chef with a flaming pan",
    "a girl with a yellow umbrella",
    "a whale made of stars",
)
_ACTIONS = (
    "drifting slowly",
    "running toward the camera",
    "turning its head",
    "dissolving into particles",
    "standing still while the crowd moves",
    "rising into the air",
    "dancing",
    "reflected in a puddle",
    "waking up",
    "looking for something lost",
)
_PLACES = (
    "in a rainy neon street",
    "on a frozen lake",
    "in an abandoned theater",
    "above the clouds",
    "in a Moroccan market",
    "under water, among coral",
    "in a wheat field before a storm",
    "inside a clockwork city",
    "on the banks of the Nile",
    "in a tiny kitchen",
)
_STYLES = (
    "cinematic, shallow depth of field",
    "35mm film grain",
    "stop motion",
    "watercolor animation",
    "handheld camera, natural light",
    "slow motion, 120 fps",
    "Studio light, macro lens",
    "anime style ✨",
    "black and white",
    "dolly zoom",
)
_LONG_SENTENCES = 14


def prompt(draws: Draws) -> str:
    """A prompt: 40% popular, 4% empty, 3% long, the rest composed."""
    kind, popular, *parts = draws.shares("prompt")
    if kind < 0.40:  # noqa: PLR2004 -- these three are the docstring's shares
        return pick(POPULAR, popular, skew=2.5)
    if kind < 0.44:  # noqa: PLR2004
        return EMPTY
    if kind < 0.47:  # noqa: PLR2004
        shots = (_composed(draws.shares(f"shot {n}")) for n in range(_LONG_SENTENCES))
        return "\n".join(f"Shot {n}: {shot}." for n, shot in enumerate(shots, 1))
    return _composed(parts)


def _composed(shares: list[float]) -> str:
    subject, action = pick(_SUBJECTS, shares[0]), pick(_ACTIONS, shares[1])
    return f"{subject} {action} {pick(_PLACES, shares[2])}, {pick(_STYLES, shares[3])}"
