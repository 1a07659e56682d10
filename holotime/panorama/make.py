"""A panorama from a sentence, or round a photo: read, sample, enlarge, mend the poles, in one resumable run."""

import hashlib
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from holotime import sphere
from holotime.models import explained
from holotime.panorama import blend, poles
from holotime.panorama.codec import Codec
from holotime.panorama.config import Made, PanoramaConfig
from holotime.panorama.loading import TILE, Chosen, choose, open_network
from holotime.panorama.networks import Condition, Network
from holotime.panorama.photo import Photo
from holotime.panorama.photo import place as place_photo
from holotime.panorama.prompt import cut_off, polar, with_trigger
from holotime.panorama.sampler import Known, Part, Sampler
from holotime.panorama.seam import heal_seam
from holotime.progress import Progress, no_progress, part
from holotime.quality import seam_ratio
from holotime.weights.licences import licence_note

DETAIL = 0.35  # strength with which an enlarged panorama is drawn again: its forms stay
MENDING = 0.45  # of a pole: rays become forms
NEAR = 1.25  # enlarged by no more than this, plain Lanczos loses nothing
PREVIEW = 512  # pixels wide

Picture = NDArray[np.uint8]  # [H, W, 3] sRGB
Preview = Callable[[Picture], None]


def fingerprint(config: PanoramaConfig, chosen: Chosen, photo: Photo | None = None) -> str:
    """Hexadecimal digest of all that the panorama depends on."""
    asked = asdict(config)
    for name in ("memory", "device"):  # where and how it runs
        del asked[name]
    digest = hashlib.sha256(json.dumps([asked, chosen.fingerprint()], sort_keys=True).encode())
    if photo is not None:
        digest.update(photo.image.tobytes() + repr((photo.image.shape, photo.fov)).encode())
    return digest.hexdigest()


def make(
    config: PanoramaConfig,
    photo: Photo | None = None,
    *,
    chosen: Chosen | None = None,
    state_dir: Path | None = None,
    progress: Progress = no_progress,
    preview: Preview | None = None,
) -> tuple[Picture, Made]:
    """(the panorama [width / 2, width, 3], how it was made).

    With a ``photo``, every pixel that it covers wholly equals the re-projected photo (:func:`photo.place`) bit for bit.
    ``state_dir``: where latents are kept, so that the same call goes on where it was stopped. ``preview`` gets a small
    picture every few steps. Raises InputError before anything is loaded, BackendUnavailable, OutOfMemory, Cancelled.
    """
    config.check(photo=photo is not None)
    chosen = chosen or choose(config, photo=photo is not None)
    plan = chosen.plan_for(config)
    steps, drawn = chosen.steps(config), chosen.drawn(config)
    progress(0.0, f"loading {chosen.name}")
    with explained(chosen.name, plan), torch.inference_mode():
        network = open_network(chosen, plan)
        sampler = Sampler(network, config.seed, state_dir, fingerprint(config, chosen, photo))
        if plan.residency in ("offload", "quantised"):
            sampler.look_every = 10  # a preview puts the autoencoder in the denoiser's place, and that back again
        notes = [*chosen.notes, *map(licence_note, chosen.used), f"panorama memory: {plan.reason}"]
        made = Made(chosen.name, notes, licences=chosen.used)
        run = _Run(config, chosen, network, sampler, made, steps, drawn, TILE if plan.small else 0, photo)
        image = run.picture(progress, preview)
        sampler.clear()
    made.notes += [f"panorama went on with {what}" for what in sampler.resumed] + sampler.notes
    progress(1.0, "")
    return image, made


@dataclass
class _Run:
    """One panorama on its way."""

    config: PanoramaConfig
    chosen: Chosen
    network: Network
    sampler: Sampler
    made: Made
    steps: int
    drawn: int  # pixels wide that the model draws
    tile: int  # latent columns of a tile of the autoencoder, 0: whole
    photo: Photo | None
    conditions: dict[str, Condition] = field(default_factory=dict)
    _places: dict[int, tuple[Picture, NDArray[np.bool_]]] = field(default_factory=dict)  # the photo, by width

    def picture(self, progress: Progress, preview: Preview | None) -> Picture:
        """All parts in order."""
        self.codec = Codec(self.network.pipe.vae, self.network.device)
        if preview is not None:
            self.sampler.look = lambda x0, circle: self._show(x0, circle, preview)
        self._read(part(progress, 0.0, 0.03))
        larger = self.config.width > NEAR * self.drawn and self.config.upscale == "diffusion"
        spans = _shares(
            {"base": 1.0, "detail": 1.5 * larger, "up": 0.3 * self.config.poles, "down": 0.3 * self.config.poles}
        )
        image = self._base(part(progress, *spans["base"]))
        image = self._enlarge(image, larger, part(progress, *spans["detail"]))
        self._measure(image, "made")
        if self.config.poles:
            for name in poles.NAMES:
                image = self._mend(image, name, part(progress, *spans[name]))
        if image.shape[1] != self.config.width:
            image = blend.lanczos(image, self.config.width // 2)
        if self.photo is None:
            image, _ = heal_seam(image)
        else:
            image = self._with_photo(image)
        self._measure(image, "final")
        numbers = self.made.numbers
        self.made.notes.append(
            "panorama seam {seam_made:.2f}, then {seam_final:.2f}; rays up {up_made:.2f}, then {up_final:.2f}; "
            "down {down_made:.2f}, then {down_final:.2f} (1 is none)".format(**numbers)
        )
        return image

    def _read(self, progress: Progress) -> None:
        """All prompts, after which the text encoders are let go."""
        progress(0.0, "reading the prompt")
        whole = with_trigger(self.config.prompt, self.chosen.recipe.trigger if self.chosen.lora else "")
        guidance = self._guidance()
        asked = {"panorama": whole} | {name: polar(self.config.prompt, name) for name in poles.NAMES}
        self.conditions = {
            name: self.network.read(text, self.config.negative_prompt.strip(), guidance) for name, text in asked.items()
        }
        if cut := cut_off(whole, self.network.tokenizers()):
            self.made.notes.append(f"The prompt is too long for {self.chosen.name}; this was not read: {cut}")
        if self.config.negative_prompt.strip() and not self.network.guided(guidance):
            self.made.notes.append(f"{self.chosen.name} works without a negative prompt; it was not followed")
        self.network.take_text_away()

    def _base(self, progress: Progress) -> Picture:
        """The panorama at the model's own size."""
        shape = self._shape(self.drawn // 2, self.drawn)
        known = fill = None
        if self.photo is not None:
            placed, covered = self._placed(self.drawn)
            known, fill = self._known(placed, covered, progress)
        task = Part("panorama", self.conditions["panorama"], *self._usual(), known=known, fill=fill)
        image = self._decode(self.sampler.run(task, shape, progress), progress)
        return image if self.photo is None else blend.join(image, placed, covered)

    def _enlarge(self, image: Picture, draw: bool, progress: Progress) -> Picture:
        """The panorama at the size asked for: by Lanczos, then drawn again in windows round the circle if asked."""
        width = self.config.width
        if width == image.shape[1]:
            return image
        if not draw:
            self.made.notes.append(f"panorama drawn {image.shape[1]} wide, resized to {width} by Lanczos")
            return blend.lanczos(image, width // 2)
        multiple = 2 * self.chosen.unit
        fine = -(-width // multiple) * multiple
        large = blend.lanczos(image, fine // 2)
        known = None
        if self.photo is not None:
            placed, covered = self._placed(fine)
            large = blend.join(large, placed, covered)
            known, fill = self._known(placed, covered, progress)
        else:
            fill = self._nothing_known(fine // 2, fine)
        latent = self._encode(large, progress)
        window = max(self.chosen.unit, self.drawn // 2) // self.codec.factor
        task = Part(
            *("panorama detail", self.conditions["panorama"], *self._usual()),
            strength=DETAIL,
            latent=latent,
            window=window,
            known=known,
            fill=fill,
        )
        image = self._decode(self.sampler.run(task, tuple(latent.shape), progress), progress)
        self.made.notes.append(
            f"panorama drawn {self.drawn} wide, enlarged to {width} by Lanczos and drawn again in windows "
            f"({DETAIL:.0%} of the steps)"
        )
        return image

    def _mend(self, image: Picture, name: str, progress: Progress) -> Picture:
        """One pole, drawn again in perspective."""
        calm = poles.calm(image, name)
        unit = self.chosen.unit
        size = poles.patch_size(image.shape[1], unit)
        patch = poles.take(calm, name, size)
        latent = self._encode(patch, progress, wrap=False)
        new = torch.from_numpy(poles.newness(size))[None, None]
        unknown = F.interpolate(new, latent.shape[-2:], mode="area")
        if self.photo is not None:
            _, covered = self._placed(image.shape[1])
            seen = poles.take(covered.astype(np.float32), name, size)
            unknown = unknown * (1 - F.interpolate(torch.from_numpy(seen)[None, None], latent.shape[-2:], mode="area"))
        side = self.drawn // 2 // self.codec.factor
        task = Part(
            *(f"pole {name}", self.conditions[name], *self._usual()),
            strength=MENDING,
            latent=latent,
            circle=False,
            window=side if size > self.drawn // 2 else 0,
            known=Known(latent, unknown),
            fill=self._nothing_known(size, size),
        )
        with self.network.without_lora():
            drawn = self._decode(self.sampler.run(task, tuple(latent.shape), progress), progress, wrap=False)
        return poles.put_back(calm, name, drawn)

    def _with_photo(self, image: Picture) -> Picture:
        """The last word on known pixels: the photo itself, at the final size."""
        placed, covered = self._placed(image.shape[1])
        share = float((covered * sphere.solid_angles(*covered.shape)).sum() / (4 * np.pi))
        self.made.notes.append(f"the photo covers {share:.1%} of the sphere; its pixels are kept exactly")
        return blend.join(image, placed, covered)

    def _placed(self, width: int) -> tuple[Picture, NDArray[np.bool_]]:
        assert self.photo is not None
        if width not in self._places:
            self._places[width] = place_photo(self.photo, self.config.yaw, self.config.pitch, width // 2)
        return self._places[width]

    def _known(self, placed: Picture, covered: NDArray, progress: Progress) -> tuple[Known, Tensor | None]:
        """What the sampler keeps, and what an inpainting model is told, of a photo on its panorama."""
        latent = self._encode(placed, progress)
        unknown = 1 - torch.from_numpy(covered.astype(np.float32))[None, None]
        # A latent pixel is known only where all its pixels are.
        coarse = F.max_pool2d(unknown, self.codec.factor)
        return Known(latent, coarse), self._fill(unknown, latent)

    def _nothing_known(self, height: int, width: int) -> Tensor | None:
        """What an inpainting model is told where all is to be made."""
        grey = torch.zeros(1, 3, height, width)
        return (
            self._fill(torch.ones(1, 1, height, width), self.codec.encode(grey, tile=self.tile))
            if self._fills()
            else None
        )

    def _fill(self, unknown: Tensor, latent: Tensor) -> Tensor | None:
        return self.network.fill_of(unknown, latent) if self._fills() else None

    def _fills(self) -> bool:
        """Whether the model is an inpainting one."""
        return self.network.channels_in > self.codec.channels

    def _guidance(self) -> float:
        return self.config.guidance or self.chosen.recipe.guidance or self.network.usual_guidance(self._fills())

    def _usual(self) -> tuple[int, float]:
        return self.steps, self._guidance()

    def _shape(self, height: int, width: int) -> tuple[int, ...]:
        return (1, self.codec.channels, height // self.codec.factor, width // self.codec.factor)

    def _encode(self, image: Picture, progress: Progress, *, wrap: bool = True) -> Tensor:
        x = torch.from_numpy(np.ascontiguousarray(image)).permute(2, 0, 1)[None].float() / 127.5 - 1
        return self.codec.encode(x, wrap=wrap, tile=self.tile, check=lambda: progress(0.0, "encoding"))

    def _decode(self, latent: Tensor, progress: Progress, *, wrap: bool = True) -> Picture:
        x = self.codec.decode(latent, wrap=wrap, tile=self.tile, check=lambda: progress(1.0, "decoding"))
        return ((x[0].clamp(-1, 1) + 1) * 127.5).round().to(torch.uint8).permute(1, 2, 0).contiguous().numpy()

    def _show(self, x0: Tensor, circle: bool, preview: Preview) -> None:
        """Decode a small picture of the latent that is expected."""
        shrink = max(1, -(-x0.shape[-1] * self.codec.factor // PREVIEW))
        small = F.avg_pool2d(x0.float(), shrink)
        picture = self._decode(small, no_progress, wrap=circle)
        if not circle:  # a pole's patch: shown in the middle of a picture of the usual proportions
            side = picture.shape[0] // 2
            picture = np.pad(picture, ((0, 0), (side, side), (0, 0)))
        preview(picture)

    def _measure(self, image: Picture, when: str) -> None:
        up, down = poles.pole_ratio(image)
        self.made.numbers |= {f"seam_{when}": seam_ratio(image[None]), f"up_{when}": up, f"down_{when}": down}


def _shares(weights: dict[str, float]) -> dict[str, tuple[float, float]]:
    """Intervals of [0.05, 0.99] in proportion to the weights."""
    total, at, spans = sum(weights.values()), 0.05, {}
    for name, weight in weights.items():
        spans[name] = (at, at + 0.94 * weight / total)
        at = spans[name][1]
    return spans
