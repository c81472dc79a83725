"""Makes generated requests satisfy rules that JSON Schema cannot express.

Changes only requests that are meant to be valid; invalid ones are sent unchanged.
"""

import re
import unicodedata

import schemathesis
from schemathesis import GenerationMode


def whole(value):
    """Converts 1.0 to 1 and bounds it to 64 bits: JSON Schema allows more than a typed parser."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, int) and not isinstance(value, bool):
        return min(value, 2**63 - 1)
    if isinstance(value, list):
        return [whole(item) for item in value]
    if isinstance(value, dict):
        return {name: whole(item) for name, item in value.items()}
    return value


def name(text):
    """Makes a valid name: a pattern cannot require letters of one script without look-alikes."""
    if not isinstance(text, str):
        return text
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode().lower()
    plain = re.sub(r"[^a-z0-9._-]", "", plain).lstrip("._-")
    return plain or "a"


def password(text):
    """Makes a valid password: a pattern cannot exclude all characters of zero width."""
    if isinstance(text, str) and any(unicodedata.category(c) in ("Cc", "Cf", "Cs") for c in text):
        return "pass word 1"
    return text


def address(text):
    """Makes a valid address: the pattern does not check the groups of an IPv6 address."""
    if not isinstance(text, str) or re.fullmatch(r"[A-Za-z0-9_.-]+:[0-9]+", text):
        return text
    return "[2001:db8::7]:5001" if re.search(r"\]:[0-9]+$", text) else "2001:db8::7"


EMPTY_HASH = "af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262"
# The hash of every folder. A request for a folder with the hash of a file is refused.
FOLDER_HASH = "f0" * 32


def entry(fields):
    """Makes a valid entry of an index: what it may contain depends on its kind and size."""
    if not isinstance(fields, dict):
        return
    if fields.get("kind") == "folder":
        fields["hash"] = FOLDER_HASH
        fields.pop("executable", None)
        fields["size"] = min(fields.get("size", 0), 2**53 - 1) if fields.get("files") else 0
        return
    fields.pop("files", None)
    if fields.get("size") == 0:
        fields["hash"] = EMPTY_HASH
    elif fields.get("hash") == EMPTY_HASH:
        fields["size"] = 0


NAMES = ("user", "space", "owner")


def satisfy_rules(fields):
    for field in NAMES:
        if fields.get(field):
            fields[field] = name(fields[field])
    if isinstance(fields.get("spaces"), list):
        fields["spaces"] = [name(space) for space in fields["spaces"]]
    if isinstance(fields.get("addresses"), list):
        fields["addresses"] = [address(text) for text in fields["addresses"]]
    for field in ("password", "old_password"):
        if fields.get(field):
            fields[field] = password(fields[field])


@schemathesis.hook
def before_call(context, case, kwargs):
    if case.meta is None or case.meta.generation.mode != GenerationMode.POSITIVE:
        return
    for fields in (case.path_parameters, case.query, case.body):
        if isinstance(fields, dict):
            satisfy_rules(fields)
    if case.query:
        # A cursor must come from an earlier page.
        case.query.pop("cursor", None)
        if case.query.get("sort") in (None, "", "relevance"):
            # Relevance can only be sorted descending.
            case.query.pop("order", None)
        # An age or a day, as described; invalid values are part of the invalid requests.
        for field in ("newer", "older"):
            if case.query.get(field):
                case.query[field] = "7d"
    is_folder = case.operation.path.startswith("/folders/")
    if case.query and case.query.get("kind") == "folder":
        is_folder = True
    if is_folder and case.path_parameters:
        case.path_parameters["hash"] = FOLDER_HASH
    body = case.body
    if not isinstance(body, dict):
        return
    body = whole(body)
    for field in ("files", "upsert"):
        if isinstance(body.get(field), list):
            for fields in body[field]:
                entry(fields)
    if isinstance(body.get("peer"), dict):
        satisfy_rules(body["peer"])
    # The space must exist, and the account must belong to it.
    body.pop("space", None)
    # It must be signed with a private key.
    body.pop("signing_request", None)
    if body.get("base") is None:
        # A whole index has nothing to remove.
        body.pop("remove", None)
    elif body.get("generation", 0) <= body["base"]:
        body["base"] = body["generation"] - 1
    case.body = body
