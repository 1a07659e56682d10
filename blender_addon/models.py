"""The models that a panel offers, with what their licences say about commercial use. No bpy here.

A table, so that the panel can say it before anything is sent; the sidecar's report says it again for what was used.
Its entries are those of the library's registry, which tests compare.
"""

from dataclasses import dataclass

ALLOWED, REFUSED = "Commercial use allowed", "No commercial use"


@dataclass(frozen=True)
class Choice:
    """What an artist may choose for one stage."""

    name: str  # as the job calls it
    title: str
    description: str
    models: tuple[str, ...] = ()  # names in the registry of what runs
    licence: str = ""  # of the strictest of them
    commercial: bool | None = True  # allowed; None: under conditions
    terms: str = ""  # the conditions, or what the licence forbids
    gigabytes: float = 0.0  # to fetch, once

    @property
    def told(self) -> str:
        """The licence in a line, or two with its conditions; empty for what belongs to HoloTime."""
        if not self.models:
            return ""
        words = {True: ALLOWED, False: REFUSED}.get(self.commercial, "Commercial use: see the licence")
        terms = f" ({self.terms})" if self.terms and self.commercial is not True else ""
        return f"{self.licence}: {words}{terms}. {self.gigabytes:g} GB to fetch"


_FLUX = ("FLUX.1-dev non-commercial", False, "a commercial licence is sold by Black Forest Labs")

PANORAMAS = (
    Choice("flux", "FLUX", "The best pictures; wants a large GPU", ("flux-dev", "flux-panorama-lora"), *_FLUX, 34),
    Choice("sdxl", "Stable Diffusion XL", "Good pictures on an ordinary GPU", ("sdxl", "sdxl-360-lora"),
           "CreativeML Open RAIL++-M", gigabytes=15),
    Choice("sd15", "Stable Diffusion 1.5", "Small and quick", ("sd15", "sd15-360-lora"),
           "see the model card", None, "the panorama LoRA states no licence", 4),
)  # fmt: skip
PHOTOS = (
    Choice("flux", "FLUX", "The best pictures; wants a large GPU", ("flux-fill", "flux-panorama-lora"), *_FLUX, 34),
    Choice("sdxl", "Stable Diffusion XL", "Good pictures on an ordinary GPU", ("sdxl-inpaint", "sdxl-360-lora"),
           "CreativeML Open RAIL++-M", gigabytes=15),
    Choice("sd15", "Stable Diffusion 1.5", "Small and quick", ("sd15-inpaint", "sd15-360-lora"),
           "see the model card", None, "the panorama LoRA states no licence", 4),
)  # fmt: skip
ANIMATORS = (
    Choice("flow", "Flow", "Seamless loops of water, clouds, leaves and fire; runs on any computer"),
    Choice("holotime", "Panoramic Animator", "Diffusion made for panoramas; wants a large GPU",
           ("holotime-guidance", "holotime-refinement"), "see the model card", None, "ask its publisher", 21),
    Choice("wan", "Wan", "Lively video model; wants a large GPU", ("wan2.1-i2v",), "Apache-2.0", gigabytes=91),
    Choice("ltx", "LTX", "Quick video model", ("ltx-video",), "LTX-Video Open Weights License", None,
           "free below 10 M USD of yearly revenue", 29),
    Choice("cogvideox", "CogVideoX", "Calm video model", ("cogvideox-5b-i2v",), "CogVideoX License", None,
           "after registration, up to a million visits a month", 22),
    Choice("svd", "Stable Video Diffusion", "Small video model; no text", ("svd",), "Stability AI Community License",
           None, "free below 1 M USD of yearly revenue, after registration", 9),
)  # fmt: skip
DIFFUSION = tuple(choice.name for choice in ANIMATORS if choice.models)
VIDEO_MODELS = ("wan", "ltx", "cogvideox", "svd")


def find(choices: tuple[Choice, ...], name: str) -> Choice | None:
    """The choice of that name."""
    return next((choice for choice in choices if choice.name == name), None)


def items(choices: tuple[Choice, ...]) -> tuple[tuple[str, str, str], ...]:
    """For an EnumProperty."""
    return tuple((choice.name, choice.title, choice.description) for choice in choices)
