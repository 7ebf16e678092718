"""How a head is groomed: every style as numbers. Knows no geometry."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from .identity import HairStyle

Vector = tuple[float, float, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Groom:
    """Locks of one kind. Lengths in mm; directions in head space (x to the subject's left, y up, z forward)."""

    count: int
    rows: int  # points along a lock
    width: float
    length_front: float  # of locks rooted above the forehead, on top behind it, at the sides, in the nape
    length_top: float
    length_side: float
    length_nape: float
    volume: float  # height above the skin that the topmost locks reach
    pile: float = 40.0  # mm along which a lock climbs onto those below it
    parting: float | None = None  # x of the parting; None combs everything by `comb`
    comb: Vector = (0.0, -0.3, 0.3)  # direction on top and in front; sides always hang
    side_comb: Vector = (0.0, -1.0, -0.35)
    away: float = 0.5  # how strongly locks leave the face backwards (parted hair)
    lift: float = 0.5  # how steeply roots leave the skin; 0 lies flat
    gravity: float = 0.5  # of the free end
    bend: float = 0.35  # share by which a step turns to comb and gravity
    disorder: float = 0.15  # rad
    clumping: float = 0.5  # how far locks lean to the leader of their clump, and locks per clump
    clump_size: int = 9
    wave: float = 0.0  # mm of swing
    wave_length: float = 60.0
    coil: float = 0.0  # mm radius of tight curls
    coil_turns: float = 0.0
    turn_in: float = 0.0  # how far the ends curl to the neck, 0..1
    flyaways: float = 0.03  # share of single thin locks that stand off
    ragged: float = 0.12  # spread of lengths
    lowest: float = -132.0  # mean height at which hanging locks are cut, and its spread
    uneven: float = 4.0
    over_ears: bool = False  # falls over the ears
    shine: float = 1.0  # relative to smooth straight hair
    tip: float = 0.12  # width of the tip


GROOMS: Mapping[HairStyle, Groom] = {
    "long": Groom(
        count=1150, rows=20, width=4.2, length_front=235, length_top=250, length_side=170, length_nape=110, volume=12,
        pile=80, parting=14.0, away=0.3, lift=0.2, gravity=0.8, disorder=0.08, wave=6.0, wave_length=75, turn_in=0.2,
        ragged=0.10, uneven=11, flyaways=0.05, over_ears=True,
    ),
    "straight": Groom(
        count=1300, rows=12, width=3.6, length_front=240, length_top=255, length_side=165, length_nape=110, volume=8,
        pile=90, parting=0.0, away=0.85, lift=0.1, gravity=0.9, disorder=0.06, turn_in=0.3, ragged=0.05, flyaways=0.01,
        over_ears=True,
    ),
    "bob": Groom(
        count=1300, rows=13, width=3.2, length_front=165, length_top=185, length_side=105, length_nape=60, volume=12,
        pile=80, parting=-16.0, away=0.25, lift=0.2, gravity=0.8, disorder=0.08, wave=1.6, wave_length=80, turn_in=0.6,
        ragged=0.08, lowest=-88, over_ears=True,
    ),
    "short": Groom(
        count=2600, rows=6, width=1.8, length_front=34, length_top=34, length_side=13, length_nape=8, volume=9,
        comb=(0.35, 0.7, 0.15), lift=0.9, gravity=0.12, bend=0.3, disorder=0.32, ragged=0.25,
    ),
    "fringe": Groom(
        count=2300, rows=9, width=2.2, length_front=40, length_top=74, length_side=22, length_nape=20, volume=12,
        comb=(0.8, -0.15, 0.55), lift=0.5, gravity=0.35, bend=0.3, disorder=0.16, ragged=0.18, wave=1.0,
        wave_length=50, lowest=-26, uneven=8,
    ),
    "receding": Groom(
        count=2200, rows=5, width=1.4, length_front=18, length_top=20, length_side=15, length_nape=12, volume=4,
        comb=(0.15, 0.2, -0.8), lift=0.45, gravity=0.2, disorder=0.25, ragged=0.25,
    ),
    "coils": Groom(
        count=1300, rows=13, width=2.6, length_front=13, length_top=17, length_side=12, length_nape=4, volume=12,
        comb=(0.0, 0.5, 0.0), lift=3.0, gravity=0.0, bend=0.1, disorder=0.5, coil=2.6, coil_turns=2.2, ragged=0.3,
        clumping=0.0, tip=0.7, shine=0.35,
    ),
    "fade": Groom(
        count=2600, rows=3, width=1.5, length_front=2.4, length_top=2.6, length_side=1.4, length_nape=1.0, volume=2.0,
        comb=(0.0, 0.2, 0.3), side_comb=(0.0, -0.3, 0.0), lift=1.6, gravity=0.0, disorder=0.6, clumping=0.0,
        tip=0.4, flyaways=0.0, shine=0.3,
    ),
}
