"""Product and date of a map from its file name, for files that do not say it themselves."""

from __future__ import annotations

import re
from datetime import date, timedelta

_PRODUCTS = (
    (r"vnp46a[1-4]", "Black Marble {}"),
    (r"black.?marble", "Black Marble"),
    (r"dmsp|(^|_)f1[0-8](19|20)\d\d", "DMSP-OLS stable lights"),
    (r"avg_rad|vcm|vnl_|_bm_|eog|viirs|svdnb", "VIIRS DNB composite"),
)
_DATES = (
    r"A(?P<y>\d{4})(?P<doy>\d{3})(?=\D)",  # VNP46A4.A2020001.h10v05
    r"(?P<y>(19|20)\d\d)(?P<m>0[1-9]|1[0-2])\d\d-(19|20)\d{6}",  # SVDNB_npp_20160101-20160131
    r"(?P<y>(19|20)\d\d)[-_]?(?P<m>0[1-9]|1[0-2])[-_]?(?P<d>[0-2]\d|3[01])(?!\d)",
    r"(?P<y>(19|20)\d\d)[-_]?(?P<m>0[1-9]|1[0-2])(?!\d)",
    r"(?P<y>(19|20)\d\d)(?!\d)",
)


def product_of_name(name: str) -> str:
    """Product that a file name speaks of, or ""."""
    for pattern, product in _PRODUCTS:
        found = re.search(pattern, name.lower())
        if found:
            return product.format(found.group(0).upper())
    return ""


def date_of_name(name: str) -> str:
    """Year, month or day that a file name speaks of ("2016", "2019-01", "2012-04-18"), or ""."""
    for pattern in _DATES:
        found = re.search(r"(?<!\d)" + pattern, name)
        if not found:
            continue
        parts = found.groupdict()
        if parts.get("doy"):
            day = date(int(parts["y"]), 1, 1) + timedelta(days=int(parts["doy"]) - 1)
            return day.isoformat()
        return "-".join(parts[key] for key in ("y", "m", "d") if parts.get(key))
    return ""
