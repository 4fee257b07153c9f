/**
 * Half precision is converted to float32 and back on bits, exactly, and fast enough for whole models. The typed arrays
 * lie in memory as the files have them, little-endian, as on every machine that ONNX Runtime supports.
 */

/** IEEE binary16 bits to float32, exactly, subnormals, infinities and NaN payloads included. Lengths must agree. */
export function widenFloat16(source: Uint16Array, target: Float32Array): void {
  const bits = bitsOf(target);
  for (let i = 0; i < source.length; i++) bits[i] = FLOAT16_TABLE[source[i] ?? 0] ?? 0;
}

/** bfloat16 bits are the upper half of float32's. Lengths must agree. */
export function widenBfloat16(source: Uint16Array, target: Float32Array): void {
  const bits = bitsOf(target);
  for (let i = 0; i < source.length; i++) bits[i] = (source[i] ?? 0) << 16;
}

/** Rounds to the nearest, ties to even; beyond ±65504 (from 65520 on) becomes infinite, as in IEEE 754. */
export function narrowToFloat16(source: Float32Array, target: Uint16Array): void {
  const bits = bitsOf(source);
  for (let i = 0; i < bits.length; i++) target[i] = float16Bits(bits[i] ?? 0);
}

/** Rounds to the nearest, ties to even. */
export function narrowToBfloat16(source: Float32Array, target: Uint16Array): void {
  const bits = bitsOf(source);
  for (let i = 0; i < bits.length; i++) {
    const value = bits[i] ?? 0;
    const isNaN = (value & 0x7fff_ffff) > 0x7f80_0000;
    // A NaN stays one: rounding could carry its payload into the exponent or cut it to infinity.
    target[i] = isNaN ? (value >>> 16) | 0x40 : (value + 0x7fff + ((value >>> 16) & 1)) >>> 16;
  }
}

function bitsOf(values: Float32Array): Uint32Array {
  return new Uint32Array(values.buffer, values.byteOffset, values.length);
}

/** Every binary16 as the bits of the equal float32: 256 KB, made in about a millisecond. */
const FLOAT16_TABLE = Uint32Array.from({ length: 1 << 16 }, (_, half) => {
  const sign = (half & 0x8000) << 16;
  const exponent = (half >>> 10) & 0x1f;
  const fraction = half & 0x3ff;
  if (exponent === 0x1f) return sign | 0x7f80_0000 | (fraction << 13);
  if (exponent !== 0) return sign | ((exponent + 112) << 23) | (fraction << 13);
  if (fraction === 0) return sign;
  // Subnormal: fraction · 2⁻²⁴, normal in float32. Its leading one moves to bit 10 and falls off.
  const shift = Math.clz32(fraction) - 21;
  return sign | ((113 - shift) << 23) | (((fraction << shift) & 0x3ff) << 13);
});

function float16Bits(bits: number): number {
  const sign = (bits >>> 16) & 0x8000;
  const magnitude = bits & 0x7fff_ffff;
  if (magnitude > 0x7f80_0000) return sign | 0x7e00 | ((magnitude >>> 13) & 0x3ff);
  // 65520, half way from the largest binary16 to the next power of two.
  if (magnitude >= 0x477f_f000) return sign | 0x7c00;
  // 2⁻¹⁴, the smallest normal: rebias the exponent, round the 13 bits that go.
  if (magnitude >= 0x3880_0000) {
    return sign | ((magnitude - 0x3800_0000 + 0xfff + ((magnitude >>> 13) & 1)) >>> 13);
  }
  // Up to 2⁻²⁵, half of the smallest subnormal, which ties to zero.
  if (magnitude <= 0x3300_0000) return sign;
  const shift = 126 - (magnitude >>> 23);
  const significand = (magnitude & 0x7f_ffff) | 0x80_0000;
  return sign | ((significand + (1 << (shift - 1)) - 1 + ((significand >>> shift) & 1)) >>> shift);
}
