"""What may be chosen when a panorama is made, and the models that are known by a short name."""

from dataclasses import dataclass, field, replace

from holotime.config import setting
from holotime.errors import InputError

SOURCES = ("image", "text", "outpaint")
UPSCALERS = ("diffusion", "lanczos")
MAX_WIDTH = 4096  # pixels
NO_LORA = "none"


@dataclass(frozen=True)
class PanoramaConfig:
    """A panorama from a sentence, or round a photo."""

    prompt: str = setting("", "what the panorama shows")
    negative_prompt: str = setting("", "what to lead away from; models without guidance ignore it")
    model: str = setting("flux", "flux, sdxl, sd15, a hub id, or the folder of a diffusers pipeline")
    lora: str = setting("", "a panorama LoRA: name, hub id or file; the model's own if empty; none for none")
    width: int = setting(2048, "pixels, a multiple of 32; the panorama is half as high", range=(64, MAX_WIDTH))
    seed: int = setting(0, "another seed, another panorama", range=(0, 2**31 - 1))
    steps: int = setting(0, "denoising steps; 0: the model's own number", range=(0, 1000))
    guidance: float = setting(0.0, "how strongly the prompt is followed; 0: the model's own number", range=(0, 100))
    memory: str = setting("auto", "auto, low (at most 8 GB) or high", choices=("auto", "low", "high"))
    upscale: str = setting("diffusion", "beyond the model's own size: more detail, or plain Lanczos", choices=UPSCALERS)
    poles: bool = setting(True, "whether straight up and down are drawn again in perspective")
    fov: float = setting(0.0, "horizontal field of view of a photo, degrees; 0: as the file says", range=(0, 170))
    yaw: float = setting(0.0, "where a photo looks, degrees to the right of the middle", range=(-360, 360))
    pitch: float = setting(0.0, "where a photo looks, degrees above the horizon", range=(-90, 90))
    device: str = setting("", "cuda, mps or cpu; the best there is if empty")

    def check(self, *, photo: bool) -> None:
        """Refuse what cannot work, before anything is loaded."""
        if not photo and not self.prompt.strip():
            raise InputError("The prompt is empty. Say what the panorama shows, as in: a lighthouse in a stormy sea.")
        if self.width % 32 or not 64 <= self.width <= MAX_WIDTH:
            raise InputError(f"The width {self.width} cannot be used. Take a multiple of 32 from 64 to {MAX_WIDTH}.")
        if photo and self.fov and self.fov < 5:
            raise InputError(f"The field of view is {self.fov:g} degrees. Give 5 to 170, or leave it out.")


@dataclass(frozen=True)
class Recipe:
    """How a model is used for panoramas."""

    model: str  # registered name, hub id or folder
    lora: str = ""  # registered name, hub id or file
    trigger: str = ""  # words that the LoRA was trained with; they go before the prompt
    width: int = 0  # pixels it draws best; 0: by the size that its configuration states
    steps: int = 30  # denoising steps
    guidance: float = 0.0  # classifier-free, or embedded in the model; 0: as its family usually has it
    fill: str = ""  # the inpainting model of the same family, for photos


RECIPES = {
    "flux": Recipe("flux-dev", "flux-panorama-lora", "HDRI panoramic view of TOK", 2048, 28, fill="flux-fill"),
    "sdxl": Recipe("sdxl", "sdxl-360-lora", "360 view", 1536, fill="sdxl-inpaint"),
    "sd15": Recipe("sd15", "sd15-360-lora", "360-degree panorama, qxj", 1024, fill="sd15-inpaint"),
}


def recipe_of(model: str) -> Recipe:
    """The recipe of a short name, of a registered name or hub id that a recipe uses, or a plain one for any other."""
    from holotime.weights.licences import model_of

    if model in RECIPES:
        return RECIPES[model]
    registered = model_of(model)
    for recipe in RECIPES.values():
        if registered is not None and registered.name in (recipe.model, recipe.fill):
            return replace(recipe, model=registered.name, fill="")
    return Recipe(model)


@dataclass
class Made:
    """What became of a prompt or a photo besides the picture."""

    backend: str  # the model, for reports
    notes: list[str] = field(default_factory=list)  # decisions, costs, licences, what was cut off
    numbers: dict[str, float] = field(default_factory=dict)  # seam and poles, before and after
    licences: list[str] = field(default_factory=list)  # names of the models used
