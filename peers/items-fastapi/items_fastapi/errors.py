"""From whatever stopped a request to the problem that its client is told."""

from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from .context import RequestContext
from .database import Busy, Unavailable, Unknown, Violated
from .faults import problem_of
from .logs import log
from .models import LIST_PATH
from .problems import (BAD_REQUEST, CONFLICT, GATEWAY_TIMEOUT, INTERNAL_ERROR, KEY_IN_USE,
                       NOT_FOUND, SKU_TAKEN, VALIDATION_FAILED, Problem, busy)
from .problems import UNAVAILABLE as SERVICE_UNAVAILABLE

RETRY_LATER_S = 2
_OF_CONSTRAINTS = {"items_sku_key": SKU_TAKEN}
_IMPOSSIBLE_VALUES = ("23502", "23514")  # Not null, check: the client's to mend.


def as_problem(error: Exception, context: RequestContext) -> Problem:
    match error:
        case Problem():
            return error
        case RequestValidationError():
            return problem_of(error, lists=context.path == LIST_PATH and context.method != "POST")
        case Violated():
            return _violation(error)
        case Busy(on_key=True):
            return busy(KEY_IN_USE, "A request with this Idempotency-Key is being worked on "
                                    "elsewhere.")
        case Busy():
            return busy(SERVICE_UNAVAILABLE, "The database is busy. Nothing was changed.")
        case Unavailable():
            return busy(SERVICE_UNAVAILABLE, "The database can't be reached. Nothing was changed.",
                        RETRY_LATER_S)
        case Unknown():
            return busy(SERVICE_UNAVAILABLE,
                        "The database was lost before it confirmed: the change may have been made "
                        "or not. Trying again with the same Idempotency-Key is safe.",
                        RETRY_LATER_S)
        case HTTPException(status_code=404):
            return Problem(NOT_FOUND, "Nothing is at this path.")
        case HTTPException(status_code=400):
            return Problem(BAD_REQUEST, str(error.detail))
    log.error("a request failed", exc_info=error)
    return Problem(INTERNAL_ERROR, "The service failed on this request.")


def too_late(timeout_ms: int, is_read: bool) -> Problem:
    unknown = " Whether the request took effect is not known; trying again with the same " \
              "Idempotency-Key is safe."
    return Problem(GATEWAY_TIMEOUT,
                   f"There was no answer within {timeout_ms} ms.{'' if is_read else unknown}")


def stopping() -> Problem:
    return busy(SERVICE_UNAVAILABLE, "The service is stopping.", RETRY_LATER_S)


def _violation(error: Violated) -> Problem:
    """The constraint's name stays inside."""
    kind = _OF_CONSTRAINTS.get(error.constraint)
    if kind is not None:
        return Problem(kind, kind.title)
    if error.sqlstate in _IMPOSSIBLE_VALUES:
        detail = "A value breaks a rule of what may be stored."
        return Problem(VALIDATION_FAILED, detail, [{"pointer": "", "detail": detail}])
    return Problem(CONFLICT, "The change conflicts with something stored.")
