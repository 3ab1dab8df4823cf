// Vectors and rotations in space, no more of them than the camera needs.

export type Vec3 = [number, number, number];
/** Rows of a 3 × 3 matrix. */
export type Matrix = [Vec3, Vec3, Vec3];
/** [x, y, z, w] */
export type Quaternion = [number, number, number, number];

export function dot(a: Vec3, b: Vec3): number {
  return a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
}

export function cross(a: Vec3, b: Vec3): Vec3 {
  return [a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]];
}

/** a + factor * b */
export function plus(a: Vec3, b: Vec3, factor = 1): Vec3 {
  return [a[0] + factor * b[0], a[1] + factor * b[1], a[2] + factor * b[2]];
}

export function minus(a: Vec3, b: Vec3): Vec3 {
  return plus(a, b, -1);
}

export function norm(a: Vec3): number {
  return Math.hypot(a[0], a[1], a[2]);
}

export function unit(a: Vec3): Vec3 {
  const length = norm(a);
  return [a[0] / length, a[1] / length, a[2] / length];
}

/** The part of a vector that is perpendicular to an axis of length 1, at length 1. */
export function across(a: Vec3, axis: Vec3): Vec3 {
  return unit(plus(a, axis, -dot(a, axis)));
}

export function times(m: Matrix, v: Vec3): Vec3 {
  return [dot(m[0], v), dot(m[1], v), dot(m[2], v)];
}

/** Transposed matrix times column: for a rotation, the way back. */
export function timesBack(m: Matrix, v: Vec3): Vec3 {
  return plus(plus(scaled(m[0], v[0]), m[1], v[1]), m[2], v[2]);
}

export function scaled(a: Vec3, factor: number): Vec3 {
  return [a[0] * factor, a[1] * factor, a[2] * factor];
}

/** Rotation matrix of a quaternion of any length. */
export function quaternionMatrix([x, y, z, w]: Quaternion): Matrix {
  const s = 2 / (x * x + y * y + z * z + w * w);
  return [
    [1 - s * (y * y + z * z), s * (x * y - z * w), s * (x * z + y * w)],
    [s * (x * y + z * w), 1 - s * (x * x + z * z), s * (y * z - x * w)],
    [s * (x * z - y * w), s * (y * z + x * w), 1 - s * (x * x + y * y)],
  ];
}

/** Rotation b followed by a. */
export function quaternionProduct(a: Quaternion, b: Quaternion): Quaternion {
  const [ax, ay, az, aw] = a;
  const [bx, by, bz, bw] = b;
  return [
    aw * bx + ax * bw + ay * bz - az * by,
    aw * by - ax * bz + ay * bw + az * bx,
    aw * bz + ax * by - ay * bx + az * bw,
    aw * bw - ax * bx - ay * by - az * bz,
  ];
}

/** Right-handed rotation about an axis of length 1. */
export function axisQuaternion(axis: Vec3, angleRad: number): Quaternion {
  const s = Math.sin(angleRad / 2);
  return [axis[0] * s, axis[1] * s, axis[2] * s, Math.cos(angleRad / 2)];
}
