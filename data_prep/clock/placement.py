"""Where a dial lies in the picture: a homography from dial radii to picture sides."""

import math
from dataclasses import dataclass, replace

import numpy as np

from data_prep.clock.shapes import outline

CAMERA_DISTANCE = 4.0  # dial radii: near enough for a tilted dial to look it


@dataclass(frozen=True)
class Placement:
    """Centre and radius in picture sides (0–1), angles in degrees; rotation is clockwise."""

    x: float
    y: float
    radius: float
    rotation: float = 0.0
    tilt: float = 0.0
    direction: float = 0.0  # of the tilt

    @property
    def frontal(self) -> bool:
        return self.rotation == 0 and self.tilt == 0

    def matrix(self) -> np.ndarray:
        """[3, 3] on columns (x, y, 1): dial radii, y down → picture sides, y down."""
        spin, tilt, direction = map(math.radians, (self.rotation, self.tilt, self.direction))
        leaning = _turn(direction) @ np.diag([math.cos(tilt), 1, 1]) @ _turn(-direction)
        # What leans away lies farther from the camera and so looks smaller.
        depth = math.sin(tilt) / CAMERA_DISTANCE
        away = np.eye(3)
        away[2, :2] = depth * math.cos(direction), depth * math.sin(direction)
        lens = np.diag([1.0, 1.0, 0.0]) @ leaning + np.diag([0.0, 0.0, 1.0]) @ away
        place = np.array([[self.radius, 0, self.x], [0, self.radius, self.y], [0, 0, 1]])
        return place @ lens @ _turn(spin)

    def project(self, points: np.ndarray) -> np.ndarray:
        """[N, 2] dial radii → [N, 2] picture sides."""
        return project(self.matrix(), points)


def project(matrix: np.ndarray, points: np.ndarray) -> np.ndarray:
    mapped = points @ matrix[:, :2].T + matrix[:, 2]
    return mapped[:, :2] / mapped[:, 2:]


def keep_inside(placement: Placement, shape: str, margin: float = 0.01) -> Placement:
    """Shrink, then shift, a dial that would leave the picture; `margin` in picture sides."""
    edge = outline(shape)
    low, high = _bounds(placement, edge)
    largest = float((high - low).max())
    if largest > 1 - 2 * margin:
        placement = replace(placement, radius=placement.radius * (1 - 2 * margin) / largest)
        low, high = _bounds(placement, edge)
    shift = np.maximum(margin - low, 0) - np.maximum(high - (1 - margin), 0)
    return replace(placement, x=placement.x + float(shift[0]), y=placement.y + float(shift[1]))


def _bounds(placement: Placement, edge: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    points = placement.project(edge)
    return points.min(axis=0), points.max(axis=0)


def _turn(angle: float) -> np.ndarray:
    """Clockwise on the screen, y pointing down."""
    cos, sin = math.cos(angle), math.sin(angle)
    return np.array([[cos, -sin, 0], [sin, cos, 0], [0, 0, 1]])
