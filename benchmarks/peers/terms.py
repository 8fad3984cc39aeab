"""What the orders must keep, as plain values: each tool's script says it in its own words.

18 columns must not be null, 17 of all 20 have a bound, a list or a format, and one rule looks at two columns: 36 rules.
Standard library only: this is read in environments that have nothing of ours.
"""

from datetime import UTC, datetime
from typing import Any

COLUMNS = (
    "id", "customer", "quantity", "price", "discount", "temperature", "score", "amount", "country", "status",
    "device", "email", "sku", "note", "created_at", "shipped_at", "gift", "priority", "warehouse", "weight",
)  # fmt: skip
NULLABLE = ("discount", "temperature")
REQUIRED = tuple(name for name in COLUMNS if name not in NULLABLE)

RANGES = {  # both ends belong to it
    "customer": (1, 5_000_000),
    "quantity": (1, 100),
    "discount": (0.0, 0.9),
    "temperature": (-60.0, 60.0),
    "warehouse": (1, 400),
}
EPOCH = datetime(2024, 1, 1, tzinfo=UTC)
AT_LEAST: dict[str, Any] = {"id": 0, "amount": 0.0, "created_at": EPOCH}
AT_MOST = {"score": 1.0}
ABOVE = {"price": 0.0}
COUNTRIES = ("AT", "BE", "CH", "DE", "DK", "ES", "FR", "GB", "IT", "NL", "NO", "PL", "PT", "SE")
STATES = ("cancelled", "delivered", "packed", "paid", "returned", "shipped")
ONE_OF = {"country": COUNTRIES, "status": STATES, "priority": (1, 2, 3, 4, 5)}
MATCHES = {
    "device": r"^(android|ios|web|till)-[0-9]{1,3}$",
    "email": r"^[a-z]+[0-9]*@[a-z]+\.(com|net|org)$",
    "sku": r"^[A-Z]{3}-[0-9]{6}$",
}
LENGTHS = {"note": (1, 60)}
VALUED = (*RANGES, *AT_LEAST, *AT_MOST, *ABOVE, *ONE_OF, *MATCHES, *LENGTHS)
CROSS = "shipped_after_created"  # shipped_at >= created_at

# The names under which every script reports how many rows break a rule.
RULES = (*(f"{name}.value" for name in VALUED), *(f"{name}.not_null" for name in REQUIRED), CROSS)
