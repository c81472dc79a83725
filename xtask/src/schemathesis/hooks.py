"""What a right request must be besides what JSON Schema can say of it.

Only requests that are meant to be right are changed; wrong ones go out as they were made.
"""

import schemathesis
from schemathesis import GenerationMode


def whole(value):
    """JSON Schema counts 1.0 as an integer; a typed parser does not."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, list):
        return [whole(item) for item in value]
    if isinstance(value, dict):
        return {name: whole(item) for name, item in value.items()}
    return value


@schemathesis.hook
def before_call(context, case, kwargs):
    if case.meta is None or case.meta.generation.mode != GenerationMode.POSITIVE:
        return
    if case.query:
        # Only a page can give one.
        case.query.pop("cursor", None)
        if case.query.get("sort") in (None, "", "relevance"):
            # The worst matches first is no order.
            case.query.pop("order", None)
        # An age or a day, as its description says; a wrong one is tried with the wrong requests.
        for name in ("newer", "older"):
            if case.query.get(name):
                case.query[name] = "7d"
    body = case.body
    if not isinstance(body, dict):
        return
    body = whole(body)
    # It has to exist, and the account to belong to it.
    body.pop("space", None)
    # Only a key's owner can sign one.
    body.pop("signing_request", None)
    if body.get("base") is None:
        # The whole index: nothing to take away from.
        body.pop("remove", None)
    elif body.get("generation", 0) <= body["base"]:
        body["base"] = body["generation"] - 1
    case.body = body
