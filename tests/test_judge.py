"""What an answer means: variants of each kind, beyond the cases that were reported."""

from __future__ import annotations

import json
from typing import Any

import pytest

from connector.record.answer import Concern, Outcome
from connector.record.judge import judge

G, T, M, A, K = Concern.GATEWAY, Concern.TASK, Concern.MOMENT, Concern.ACCOUNT, Concern.KEY
U = Concern.UNCLEAR
O = Outcome  # noqa: E741  the table below is read by column

CLOUDFLARE = "<!DOCTYPE html><html><head><title>Attention Required! | Cloudflare</title></head>"
LOGIN = '<html><body><form><input type="password" name="p"></form></body></html>'
NGINX = "<html><head><title>404 Not Found</title></head><center>nginx</center></html>"

REFUSALS: list[tuple[int, Any, Outcome, Concern]] = [
    # The account.
    (402, {"detail": "Insufficient credits"}, O.FORBIDDEN, A),
    (402, "", O.FORBIDDEN, A),
    (400, {"detail": "Insufficient credits"}, O.FORBIDDEN, A),
    (403, {"error": {"message": "…", "code": "insufficient_user_quota"}}, O.FORBIDDEN, A),
    (403, {"detail": "Your account has been suspended"}, O.FORBIDDEN, A),
    (403, {"message": "You have run out of credits, please top up"}, O.FORBIDDEN, A),
    (200, {"code": 402, "message": "no", "data": None}, O.FORBIDDEN, A),
    (200, {"code": "quota_not_enough", "message": "x", "data": None}, O.FORBIDDEN, A),
    (200, {"success": False, "message": "balance is not enough"}, O.FORBIDDEN, A),
    (200, {"code": 1, "message": "用户额度不足"}, O.FORBIDDEN, A),
    (429, {"error": {"message": "You exceeded your current quota", "code": "insufficient_quota"}},
     O.FORBIDDEN, A),
    (500, {"error": {"message": "x", "code": "insufficient_user_quota"}}, O.FORBIDDEN, A),
    (503, CLOUDFLARE, O.FORBIDDEN, A),
    (200, LOGIN, O.FORBIDDEN, A),
    (200, "<html><title>Sign in to continue</title></html>", O.FORBIDDEN, A),
    (403, "error code: 1020", O.FORBIDDEN, A),
    (403, "error code: 1106", O.FORBIDDEN, A),
    (403, {"error": {"message": "用户已被封禁"}}, O.FORBIDDEN, A),
    (403, {"message": "Your IP address is not allowed"}, O.FORBIDDEN, A),
    (403, {"message": "IP 192.0.2.7 is not in the whitelist"}, O.FORBIDDEN, A),
    (403, {"error": {"message": "Country, region, or territory not supported"}}, O.FORBIDDEN, A),
    (403, {"message": "Request blocked"}, O.FORBIDDEN, A),
    (403, "RBAC: access denied", O.FORBIDDEN, A),
    (403, {"Message": "Not authorized to access this resource with an explicit deny"},
     O.FORBIDDEN, A),
    (403, {"detail": "Your plan does not include API access"}, O.FORBIDDEN, A),
    (403, {"detail": "Missing required scope: generations:read"}, O.FORBIDDEN, A),
    (200, {"code": 403, "message": "无权访问 vip 分组"}, O.FORBIDDEN, A),
    # The key.
    (401, {"detail": "Not authenticated"}, O.FORBIDDEN, K),
    (401, "", O.FORBIDDEN, K),
    (401, LOGIN, O.FORBIDDEN, K),
    (200, {"code": 401, "message": "token expired", "data": None}, O.FORBIDDEN, K),
    (200, {"code": "401", "message": "x"}, O.FORBIDDEN, K),
    (200, {"error": {"code": "invalid_api_key", "message": "x"}}, O.FORBIDDEN, K),
    (403, {"detail": "Invalid API key"}, O.FORBIDDEN, K),
    (400, {"error": {"message": "API key expired. Renew the API key."}}, O.FORBIDDEN, K),
    (200, {"status": "UNAUTHENTICATED", "message": "x"}, O.FORBIDDEN, K),
    (200, {"success": False, "errorMsg": "token expired", "errorCode": 401}, O.FORBIDDEN, K),
    (200, {"fault": {"faultstring": "Invalid access token", "detail": {"errorcode": "x"}}},
     O.FORBIDDEN, K),
    # The rate.
    (429, "", O.RATE_LIMITED, M),
    (429, NGINX, O.RATE_LIMITED, M),
    (200, {"code": 429, "message": "slow down"}, O.RATE_LIMITED, M),
    (200, {"error": {"type": "rate_limit_exceeded", "message": "x"}}, O.RATE_LIMITED, M),
    (400, {"error": {"message": "status code: 429, rate limited upstream"}}, O.RATE_LIMITED, M),
    (403, {"message": "API rate limit exceeded for user"}, O.RATE_LIMITED, M),
    (403, {"message": "Limit Exceeded"}, O.RATE_LIMITED, M),
    (429, {"error": {"status": "RESOURCE_EXHAUSTED", "message": "Quota exceeded: requests per"
     " minute"}}, O.RATE_LIMITED, M),
    (200, "Too many requests", O.RATE_LIMITED, M),
    (200, {"fault": {"faultstring": "Spike arrest violation"}}, O.RATE_LIMITED, M),
    (200, {"ErrCode": "429", "ErrMsg": "x"}, O.RATE_LIMITED, M),
    # This minute.
    (400, {"detail": "Request is still in progress"}, O.NOT_READY, M),
    (404, {"detail": "The result is not ready yet"}, O.NOT_READY, M),
    (200, {"code": 455, "msg": "The service is currently undergoing maintenance."},
     O.SERVER_ERROR, M),
    (200, {"code": 403, "message": "upstream is busy, try again later"}, O.SERVER_ERROR, M),
    (200, {"code": 455, "msg": "x", "data": None}, O.SERVER_ERROR, M),
    (200, {"errorMessage": "Task timed out after 3.00 seconds"}, O.SERVER_ERROR, M),
    (200, {"errorMessage": "Runtime exited", "errorType": "x"}, O.NOT_A_GENERATION, M),
    (200, {"Code": 500, "Message": "x", "Data": None}, O.SERVER_ERROR, M),
    (424, {"detail": "Failed Dependency"}, O.SERVER_ERROR, M),
    (460, "", O.SERVER_ERROR, M),
    (499, "", O.SERVER_ERROR, M),
    (409, {"detail": "x"}, O.SERVER_ERROR, M),
    (423, {"detail": "locked"}, O.SERVER_ERROR, M),
    (425, "", O.SERVER_ERROR, M),
    (408, "", O.TIMEOUT, M),
    (500, {"detail": "Internal"}, O.SERVER_ERROR, M),
    (502, NGINX, O.SERVER_ERROR, M),
    (502, "<html><script src=/cdn-cgi/challenge-platform/main.js></script>", O.SERVER_ERROR, M),
    (503, {"error": {"message": "no available channel"}}, O.SERVER_ERROR, M),
    (200, {"code": 503, "message": "x", "data": None}, O.SERVER_ERROR, M),
    (200, {"code": 500, "message": "get channel failed", "data": {}}, O.SERVER_ERROR, M),
    (200, {"error": {"message": "Overloaded", "type": "overloaded_error"}}, O.SERVER_ERROR, M),
    (200, {"message": "Service temporarily unavailable"}, O.SERVER_ERROR, M),
    (400, {"error": {"message": "bad response status code 502"}}, O.SERVER_ERROR, M),
    (400, {"error": {"message": "bad response status code 401 from upstream"}}, O.SERVER_ERROR, M),
    (400, {"message": "The system is busy, please try again later"}, O.SERVER_ERROR, M),
    (200, {"errors": [{"message": "timed out", "code": "TIMEOUT"}]}, O.SERVER_ERROR, M),
    (202, "", O.NOT_READY, M),
    (204, "", O.NOT_READY, M),
    (202, {"message": "accepted"}, O.NOT_READY, M),
    # The address, or something on the way.
    (404, NGINX, O.NOT_FOUND, G),
    (400, "<html>Bad Request</html>", O.BAD_REQUEST, G),
    (200, "<!doctype html><div id=root></div>", O.NOT_JSON, G),
    (404, {"error": {"message": "Invalid URL (GET /dream-machine/v1/generations/x)"}},
     O.NOT_FOUND, G),
    (404, {"message": "no Route matched with those values"}, O.NOT_FOUND, G),
    (404, "404 page not found", O.NOT_FOUND, G),
    (404, "Cannot GET /v1/dream-machine/v1/generations/x", O.NOT_FOUND, G),
    (404, "The page could not be found\n\nNOT_FOUND", O.NOT_FOUND, G),
    (405, {"detail": "Method Not Allowed"}, O.BAD_REQUEST, G),
    (200, "", O.NOT_JSON, G),
    (200, '{"id":', O.NOT_JSON, G),
    (304, "", O.NOT_A_GENERATION, G),
    *((403, {"message": said}, O.FORBIDDEN, G) for said in (
        "Missing Authentication Token",
        "Authorization header requires 'Credential' parameter. Authorization=Bearer x",
        "'x' not a valid key=value pair (missing equal-sign) in Authorization header: 'Bearer x'.",
    )),
    (400, {"message": "Invalid key=value pair (missing equal-sign) in Authorization header"},
     O.BAD_REQUEST, G),
    (404, {"title": "Not Found", "detail": "No static resource dream-machine/v1/generations/x."},
     O.NOT_FOUND, G),
    (404, {"code": 5, "message": "Method does not exist."}, O.NOT_FOUND, G),
    (404, "default backend - 404", O.NOT_FOUND, G),
    # The task.
    (404, {"detail": "Generation not found"}, O.NOT_FOUND, T),
    (404, {"detail": "Not Found"}, O.NOT_FOUND, T),
    (404, "", O.NOT_FOUND, T),
    (410, {"detail": "deleted"}, O.NOT_FOUND, T),
    (400, {"code": "task_not_exist", "message": "x", "data": None}, O.NOT_FOUND, T),
    (200, {"code": "task_not_exist", "message": "x", "data": None}, O.NOT_FOUND, T),
    (200, {"code": 404, "message": "x", "data": None}, O.NOT_FOUND, T),
    (200, {"success": False, "message": "task not found"}, O.NOT_FOUND, T),
    (403, {"detail": "This generation belongs to another user"}, O.FORBIDDEN, T),
    (403, {"detail": "Not authorized to view this generation"}, O.FORBIDDEN, T),
    (422, {"detail": [{"loc": ["path", "id"], "msg": "value is not a valid uuid"}]},
     O.BAD_REQUEST, T),
    (200, {}, O.NOT_A_GENERATION, T),
    (200, [], O.NOT_A_GENERATION, T),
    (403, {"code": "task_forbidden"}, O.FORBIDDEN, T),
    # Of the task, or of everyone who asks: other answers say which.
    *((403, body, O.FORBIDDEN, U) for body in (
        {"message": "Forbidden"}, {"detail": "Forbidden"}, {}, "", "Access Denied", "forbidden",
        {"code": 403}, {"error": {"code": "forbidden"}}, CLOUDFLARE,
        "<html><h1>403 Forbidden</h1></html>", "<Error><Code>AccessDenied</Code></Error>",
    )),
    (200, {"code": 403, "message": "forbidden"}, O.FORBIDDEN, U),
    (403, {"Message": "User: anonymous is not authorized to perform: execute-api:Invoke on"
           " resource: arn:aws:execute-api:x:y/prod/GET/dream-machine/v1/generations/x"},
     O.FORBIDDEN, U),
    (405, CLOUDFLARE, O.FORBIDDEN, U),
    (200, "<html>Request unsuccessful. Incapsula incident ID: 1</html>", O.FORBIDDEN, U),
    # Nobody can tell: it is asked again.
    (200, {"success": False, "message": "internal error", "id": "r"}, O.NOT_A_GENERATION, M),
    (200, {"code": "success", "message": "", "data": None}, O.NOT_A_GENERATION, M),
    (200, {"status": "error", "message": "no luck"}, O.NOT_A_GENERATION, M),
    (200, {"status": "COMPLETED", "request_id": "r"}, O.NOT_A_GENERATION, M),
    (200, {"name": "operations/x", "done": False}, O.NOT_A_GENERATION, M),
    (200, {"queuePosition": 3, "estimatedTime": 30}, O.NOT_A_GENERATION, M),
    (200, {"queue": {"position": 1}}, O.NOT_A_GENERATION, M),
    (200, '"OK"', O.NOT_A_GENERATION, M),
]  # fmt: skip


def encoded(body: Any) -> bytes:
    return body.encode() if isinstance(body, str) else json.dumps(body).encode()


@pytest.mark.parametrize(("http_status", "body", "outcome", "concerns"), REFUSALS)
def test_what_a_refusal_is_true_of(
    http_status: int, body: Any, outcome: Outcome, concerns: Concern
) -> None:
    verdict = judge(http_status, encoded(body), "x")
    assert (verdict.outcome, verdict.concerns) == (outcome, concerns), verdict.message
    assert verdict.message


DONE = {"id": "g", "state": "completed", "video": {"url": "https://cdn.example/v.mp4"}}

GENERATIONS: list[tuple[Any, str]] = [
    (DONE, "completed"),
    ({"data": DONE}, "completed"),
    ({"code": 0, "data": {"data": DONE}}, "completed"),
    ({"code": 200, "result": DONE}, "completed"),
    ({"generation": DONE}, "completed"),
    ({"generations": [DONE]}, "completed"),
    ([DONE], "completed"),
    ({"data": [DONE, {**DONE, "id": "h"}]}, "completed"),
    ({"data": [DONE, {**DONE, "state": "failed"}]}, "failed"),
    ({"data": [{**DONE, "state": "failed"}, {**DONE, "state": "dreaming"}]}, "running"),
    ({"status": "IN_PROGRESS", "data": DONE}, "running"),
    ({"code": "success", "data": {"task_id": "x", "status": "QUEUED", "data": DONE}}, "queued"),
    ({"task_id": "x", "status": "FAILURE", "data": {**DONE, "state": "dreaming"}}, "failed"),
    ({"task_id": "x", "status": "SUCCESS", "data": {**DONE, "state": "dreaming"}}, "running"),
    ({"task_id": "x", "status": "UNKNOWN", "data": None}, "unknown"),
    ({"task_id": "x", "status": "NOT_START", "data": {}}, "queued"),
    ({"task_id": "x", "taskStatus": "succeed"}, "completed"),
    ({"data": {"taskId": "x", "status": "Finished"}}, "completed"),
    ({"status": "success", "data": {"video": {"url": "https://cdn.example/v.mp4"}}}, "completed"),
    ({"id": "x", "status": "error", "error": {"message": "moderated"}}, "failed"),
    ({"id": "x", "output": {"video": {"url": "https://cdn.example/v.mp4"}}}, "unknown"),
    ({"video": "https://cdn.example/v.mp4", "status": "done"}, "completed"),
    ({"id": "x"}, "unknown"),
    ({"id": "x", "done": True}, "unknown"),
    ({"done": "true", "response": {"videos": ["https://cdn.example/v.mp4"]}}, "completed"),
    ({"done": False, "response": {"videos": ["https://cdn.example/v.mp4"]}}, "unknown"),
    ({"state": {"name": "dreaming"}, "id": "x"}, "running"),
    ({"status": {"id": 3, "label": "Completed"}, "id": "x"}, "completed"),
    ({"getGeneration": {"id": "x", "state": "queued"}}, "queued"),
    ({"x": {"state": "failed"}}, "failed"),
    ({"status": "pending"}, "queued"),
    # An identifier inside a generation is not another generation.
    ({**DONE, "result": {"id": "file-1"}}, "completed"),
    ({**DONE, "output": [{"type": "video", "url": "https://cdn.example/v.mp4"}]}, "completed"),
]


@pytest.mark.parametrize(("body", "status"), GENERATIONS)
def test_a_generation_is_found_whatever_wraps_it(body: Any, status: str) -> None:
    verdict = judge(200, encoded(body), "x")
    assert (verdict.outcome, verdict.status) == (Outcome.GENERATION, status)


def test_a_refusal_that_holds_the_whole_generation_is_that_generation() -> None:
    failed = {"id": "x", "state": "failed", "prompt": "p", "failure_reason": "moderated"}
    for status in (400, 422):
        verdict = judge(status, encoded({"data": failed}), "x")
        assert (verdict.outcome, verdict.status) == (O.GENERATION, "failed")
        assert judge(status, encoded({"data": failed}), "y").outcome is O.BAD_REQUEST
        error = {"id": "x", "status": "error", "message": "invalid ID"}
        assert judge(status, encoded(error), "x").outcome is O.BAD_REQUEST
    assert judge(404, encoded(failed), "x").outcome is O.NOT_FOUND


@pytest.mark.parametrize("flag", [False, "false"])
def test_what_says_that_it_is_no_success_is_no_generation(flag: Any) -> None:
    verdict = judge(200, encoded({"success": flag, "data": DONE}), "x")
    assert verdict.outcome is not Outcome.GENERATION


def test_a_failed_generation_is_one_although_it_is_no_success() -> None:
    failed = {"id": "x", "state": "failed", "prompt": "p"}
    for body in ({"success": False, **failed}, {"success": False, "data": failed}):
        assert judge(200, encoded(body), "x").status == "failed"
        assert judge(200, encoded(body), "y").concerns is M


@pytest.mark.parametrize("key", ["id", "task_id", "taskId", "TaskID", "generationId"])
def test_an_answer_says_whose_it_is_in_any_spelling(key: str) -> None:
    about_another = {"data": {**DONE, "id": None, key: "other"}}
    assert judge(200, encoded(about_another), "x").other_ids == ("other",)
