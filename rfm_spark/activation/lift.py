"""What an export has brought: two arms compared, in plain Python.

Every interval is one of 95 %. Conversion: Newcombe's hybrid score interval for the difference (R.
G. Newcombe, Statistics in Medicine 17, 1998, method 10), Katz's log interval for the ratio (D. Katz
et al., Biometrics 34, 1978). Revenue per customer: Welch's interval for the difference (B. L.
Welch, Biometrika 34, 1947), Fieller's for the ratio (E. C. Fieller, Journal of the Royal
Statistical Society B 16, 1954).
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from math import exp, log, sqrt

from scipy.special import stdtrit

Z = 1.959963984540054
"""Standard normal quantile of a two-sided 95 % interval."""
_QUANTILE = 0.975
# Below so many buyers in an arm, normal approximations are rough.
_FEW = 5

Interval = tuple[float, float]


@dataclass(frozen=True)
class Arm:
    """Customers of an arm, and what they did.

    Args:
        customers: How many.
        buyers: Of these, with a purchase.
        revenue: Their net revenue.
        squares: The squares of each customer's revenue, added up.
    """

    customers: int = 0
    buyers: int = 0
    revenue: Fraction = Fraction(0)
    squares: Fraction = Fraction(0)

    def __add__(self, other: Arm) -> Arm:
        """Both together."""
        return Arm(
            self.customers + other.customers,
            self.buyers + other.buyers,
            self.revenue + other.revenue,
            self.squares + other.squares,
        )

    @property
    def conversion(self) -> float | None:
        """Buyers per customer; None without customers."""
        return self.buyers / self.customers if self.customers else None

    @property
    def mean(self) -> float | None:
        """Revenue per customer; None without customers."""
        return float(self.revenue / self.customers) if self.customers else None

    @property
    def variance_of_mean(self) -> float:
        """Sample variance of the revenue, over the customers; two or more of them."""
        scatter = self.squares - self.revenue**2 / self.customers
        return float(scatter / (self.customers - 1) / self.customers)


@dataclass(frozen=True)
class Effect:
    """Treatment against control; what cannot be told is None, and ``remark`` says why.

    Args:
        difference: Treatment minus control.
        interval: Of the difference.
        lift: Treatment over control, minus 1.
        lift_interval: Of the lift.
        remark: What to know before using these numbers; empty: nothing.
    """

    difference: float | None = None
    interval: Interval | None = None
    lift: float | None = None
    lift_interval: Interval | None = None
    remark: str = ""


def conversion_effect(treatment: Arm, control: Arm) -> Effect:
    """Buyers per customer, of one arm against the other."""
    one, other = treatment.conversion, control.conversion
    if one is None or other is None:
        return Effect(remark=_empty(treatment, control))
    difference = one - other
    (low, high), (its_low, its_high) = _wilson(treatment), _wilson(control)
    interval = (
        difference - sqrt((one - low) ** 2 + (its_high - other) ** 2),
        difference + sqrt((high - one) ** 2 + (other - its_low) ** 2),
    )
    if not control.buyers:
        return Effect(difference, interval, remark="control: no buyers")
    lift = one / other - 1
    if not treatment.buyers:
        return Effect(difference, interval, lift, remark="treatment: no buyers")
    spread = Z * sqrt(
        1 / treatment.buyers - 1 / treatment.customers + 1 / control.buyers - 1 / control.customers
    )
    if not spread:
        return Effect(difference, interval, lift, remark="everybody bought")
    ratio = log(one / other)
    ends = (exp(ratio - spread) - 1, exp(ratio + spread) - 1)
    return Effect(difference, interval, lift, ends, _few(treatment, control))


def revenue_effect(treatment: Arm, control: Arm) -> Effect:
    """Net revenue per customer, of one arm against the other."""
    one, other = treatment.mean, control.mean
    if one is None or other is None:
        return Effect(remark=_empty(treatment, control))
    difference = one - other
    lift = one / other - 1 if other > 0 else None
    if min(treatment.customers, control.customers) < 2:  # noqa: PLR2004
        return Effect(difference, lift=lift, remark="arm of one customer")
    own, its = treatment.variance_of_mean, control.variance_of_mean
    if own + its == 0:
        return Effect(difference, lift=lift, remark="no spread in revenue")
    freedom = (own + its) ** 2 / (
        own**2 / (treatment.customers - 1) + its**2 / (control.customers - 1)
    )
    quantile = float(stdtrit(freedom, _QUANTILE))
    half = quantile * sqrt(own + its)
    interval = (difference - half, difference + half)
    if lift is None:
        return Effect(difference, interval, remark="control: no revenue")
    ends = _fieller(one, other, own, its, quantile)
    remark = _few(treatment, control)
    if ends is None:
        remark = "control is near 0"
    return Effect(difference, interval, lift, ends, remark)


def _wilson(arm: Arm) -> Interval:
    """Wilson's score interval of the conversion (E. B. Wilson, JASA 22, 1927)."""
    n, square = arm.customers, Z * Z
    share = arm.buyers / n
    middle = share + square / (2 * n)
    half = Z * sqrt(share * (1 - share) / n + square / (4 * n * n))
    size = 1 + square / n
    low = 0.0 if arm.buyers == 0 else (middle - half) / size
    high = 1.0 if arm.buyers == n else (middle + half) / size
    return low, high


def _fieller(one: float, other: float, own: float, its: float, quantile: float) -> Interval | None:
    """Ends of the ratio of two independent means minus 1; None where it has none."""
    g = quantile**2 * its / other**2
    if g >= 1:
        return None
    ratio = one / other
    half = quantile / other * sqrt(own * (1 - g) + ratio**2 * its)
    return (ratio - half) / (1 - g) - 1, (ratio + half) / (1 - g) - 1


def _empty(treatment: Arm, control: Arm) -> str:
    if not treatment.customers and not control.customers:
        return "both arms are empty"
    return "control is empty" if treatment.customers else "treatment is empty"


def _few(treatment: Arm, control: Arm) -> str:
    if min(treatment.buyers, control.buyers) >= _FEW:
        return ""
    return "too few buyers"
