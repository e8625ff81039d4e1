"""How long something takes: a number of seconds, or a distribution that draws one for each.

In a profile a delay is ``0.05``, or a table such as ``{kind = "lognormal", median = 0.05, sigma =
0.5}``. It holds no chance of its own: whoever draws brings the ``random.Random``.
"""

from __future__ import annotations

import random
from typing import Annotated, Final, TypeAlias

import msgspec
from msgspec import Meta

from smppd.config.values import Wrong

SECONDS_MAX: Final = 86_400
"""A day: no centre takes longer, and a tail drawn beyond it is cut there."""

SIGMA_MAX: Final = 5.0
"""Of a lognormal delay: one in six is then 150 times the median and more."""

_Seconds = Annotated[float, Meta(ge=0, le=SECONDS_MAX)]


class Uniform(msgspec.Struct, frozen=True, tag_field="kind", tag="uniform"):
    """Any value from ``min`` to ``max``, each as likely as the others."""

    min: _Seconds
    max: _Seconds


class Lognormal(msgspec.Struct, frozen=True, tag_field="kind", tag="lognormal"):
    """Half below ``median``, with a long tail above it: what response times look like.

    ``sigma`` is the spread of the logarithm: 0.5 puts one in fifty above 2.8 medians, 1.0 above
    7.8.
    """

    median: _Seconds
    sigma: Annotated[float, Meta(ge=0, le=SIGMA_MAX)]


class Exponential(msgspec.Struct, frozen=True, tag_field="kind", tag="exponential"):
    """Mostly short, now and then long, ``mean`` on the average: what waiting looks like."""

    mean: _Seconds


Delay: TypeAlias = float | Uniform | Lognormal | Exponential

KINDS: Final[dict[str, type[msgspec.Struct]]] = {
    "uniform": Uniform,
    "lognormal": Lognormal,
    "exponential": Exponential,
}
"""The distributions by the name a profile gives them."""


def draw(delay: Delay, chance: random.Random, count: int) -> list[float]:
    """``count`` delays in seconds. A plain number draws no lot."""
    if isinstance(delay, Uniform):
        return [chance.uniform(delay.min, delay.max) for _ in range(count)]
    if isinstance(delay, Lognormal):
        # exp(mu) is the median, so the median may as well stand in front.
        tails = (chance.lognormvariate(0.0, delay.sigma) for _ in range(count))
        return [min(delay.median * tail, SECONDS_MAX) for tail in tails]
    if isinstance(delay, Exponential):
        waits = (chance.expovariate(1.0) for _ in range(count))
        return [min(delay.mean * wait, SECONDS_MAX) for wait in waits]
    return [delay] * count


def read_delay(value: object) -> Delay | Wrong:
    """What a profile writes for a delay."""
    if isinstance(value, dict):
        return _read_distribution(value)
    if isinstance(value, int | float) and value is not True and 0 <= value <= SECONDS_MAX:
        return float(value)
    return Wrong(
        f"{value!r} is no delay",
        'write seconds from 0 to 86400, or {kind = "lognormal", median = 0.05, sigma = 0.5}',
    )


def _read_distribution(table: dict[str, object]) -> Delay | Wrong:
    name = table.get("kind")
    kind = KINDS.get(name) if isinstance(name, str) else None
    if kind is None:
        return Wrong(
            f"{name!r} is no kind of delay", f"write kind = one of {', '.join(map(repr, KINDS))}"
        )
    keys = kind.__struct_fields__
    remedy = f"write {{kind = {name!r}, {', '.join(f'{key} = SECONDS' for key in keys)}}}"
    remedy = remedy.replace("sigma = SECONDS", "sigma = 0.5").replace("'", '"')
    if set(table) != {"kind", *keys}:
        return Wrong(f"{name} has the keys {', '.join(keys)} and no others", remedy)
    try:
        found = msgspec.convert(table, Uniform | Lognormal | Exponential)
    except msgspec.ValidationError as error:
        return Wrong(f"is no delay: {error}", remedy)
    if isinstance(found, Uniform) and found.min > found.max:
        return Wrong("min is above max", "exchange them")
    return found
