"""Logarithm, exponential and normal quantile from IEEE arithmetic alone.

The C library's versions differ in the last bit between machines, and one bit is enough to change an
order, and so the hash of a run. These use only operations that IEEE 754 rounds exactly, so compiled
and interpreted code agree everywhere to the bit.

References
----------
Sun Microsystems (1993), FDLIBM, e_log.c and e_exp.c (the polynomial coefficients).
Wichura (1988), Algorithm AS 241: the percentage points of the normal distribution, Applied Statistics
37(3), routine PPND16.
"""

from __future__ import annotations

import math

from simlab.core.jit import jit

__all__ = ["exp", "log", "normal_quantile"]

_LN2_HIGH = 6.93147180369123816490e-01
_LN2_LOW = 1.90821492927058770002e-10
_SQRT_HALF = 0.70710678118654757


@jit
def log(x):
    """Return the natural logarithm of ``x > 0``, to within one unit in the last place."""
    if not x > 0.0:
        return -math.inf if x == 0.0 else math.nan
    mantissa, exponent = math.frexp(x)
    if mantissa < _SQRT_HALF:
        mantissa *= 2.0
        exponent -= 1
    f = mantissa - 1.0
    s = f / (2.0 + f)
    z = s * s
    w = z * z
    even = w * (3.999999999940941908e-01 + w * (2.222219843214978396e-01 + w * 1.531383769920937332e-01))
    odd = z * (
        6.666666666666735130e-01
        + w * (2.857142874366239149e-01 + w * (1.818357216161805012e-01 + w * 1.479819860511658591e-01))
    )
    half_square = 0.5 * f * f
    return exponent * _LN2_HIGH - (
        (half_square - (s * (half_square + (even + odd)) + exponent * _LN2_LOW)) - f
    )


@jit
def exp(x):
    """Return e to the power of x, to within one unit in the last place; 0.0 below -745, inf above 709.78."""
    if x > 709.78:
        return math.inf
    if x < -745.0:
        return 0.0
    k = math.floor(x * 1.44269504088896338700 + 0.5)
    high = x - k * _LN2_HIGH
    low = k * _LN2_LOW
    r = high - low
    t = r * r
    c = r - t * (
        1.66666666666666019037e-01
        + t
        * (
            -2.77777777770155933842e-03
            + t
            * (
                6.61375632143793436117e-05
                + t * (-1.65339022054652515390e-06 + t * 4.13813679705723846039e-08)
            )
        )
    )
    y = 1.0 - ((low - (r * c) / (2.0 - c)) - high)
    return math.ldexp(y, int(k))


@jit
def _central(q):
    r = 0.180625 - q * q
    numerator = (
        (
            (
                (
                    ((2509.0809287301226727 * r + 33430.575583588128105) * r + 67265.770927008700853) * r
                    + 45921.953931549871457
                )
                * r
                + 13731.693765509461125
            )
            * r
            + 1971.5909503065514427
        )
        * r
        + 133.14166789178437745
    ) * r + 3.387132872796366608
    denominator = (
        (
            (
                (
                    ((5226.495278852545925 * r + 28729.085735721942674) * r + 39307.89580009271061) * r
                    + 21213.794301586595867
                )
                * r
                + 5394.1960214247511077
            )
            * r
            + 687.1870074920579083
        )
        * r
        + 42.313330701600911252
    ) * r + 1.0
    return q * numerator / denominator


@jit
def _tail(r):
    if r <= 5.0:
        r -= 1.6
        numerator = (
            (
                (
                    (
                        (
                            (7.7454501427834140764e-4 * r + 0.0227238449892691845833) * r
                            + 0.24178072517745061177
                        )
                        * r
                        + 1.27045825245236838258
                    )
                    * r
                    + 3.64784832476320460504
                )
                * r
                + 5.7694972214606914055
            )
            * r
            + 4.6303378461565452959
        ) * r + 1.42343711074968357734
        denominator = (
            (
                (
                    (
                        (
                            (1.05075007164441684324e-9 * r + 5.475938084995344946e-4) * r
                            + 0.0151986665636164571966
                        )
                        * r
                        + 0.14810397642748007459
                    )
                    * r
                    + 0.68976733498510000455
                )
                * r
                + 1.6763848301838038494
            )
            * r
            + 2.05319162663775882187
        ) * r + 1.0
        return numerator / denominator
    r -= 5.0
    numerator = (
        (
            (
                (
                    (
                        (2.01033439929228813265e-7 * r + 2.71155556874348757815e-5) * r
                        + 0.0012426609473880784386
                    )
                    * r
                    + 0.026532189526576123093
                )
                * r
                + 0.29656057182850489123
            )
            * r
            + 1.7848265399172913358
        )
        * r
        + 5.4637849111641143699
    ) * r + 6.6579046435011037772
    denominator = (
        (
            (
                (
                    (
                        (2.04426310338993978564e-15 * r + 1.4215117583164458887e-7) * r
                        + 1.8463183175100546818e-5
                    )
                    * r
                    + 7.868691311456132591e-4
                )
                * r
                + 0.0148753612908506148525
            )
            * r
            + 0.13692988092273580531
        )
        * r
        + 0.59983220655588793769
    ) * r + 1.0
    return numerator / denominator


@jit
def normal_quantile(p):
    """Return the standard normal quantile of p in (0, 1), relative accuracy about 1e-16 (AS 241)."""
    q = p - 0.5
    if abs(q) <= 0.425:
        return _central(q)
    tail = p if q < 0.0 else 1.0 - p
    value = _tail(math.sqrt(-log(tail)))
    return -value if q < 0.0 else value
