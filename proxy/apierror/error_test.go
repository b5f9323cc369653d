package apierror

import (
	"net/http"
	"testing"
	"time"

	"github.com/tidwall/gjson"
	"github.com/valyala/fasthttp"
)

func TestError_has_the_shape_that_SDKs_read(t *testing.T) {
	e := BadRequest("bad_\"code\"", "", "line\n%d", 2)
	body := string(e.JSON())
	if !gjson.Valid(body) || gjson.Get(body, "error.message").String() != "line\n2" || gjson.Get(body, "error.code").String() != `bad_"code"` ||
		gjson.Get(body, "error.param").Type != gjson.Null || gjson.Get(body, "error.type").String() != TypeInvalidRequest {
		t.Errorf("body %s", body)
	}
	e.Param = "messages"
	if got := gjson.GetBytes(e.JSON(), "error.param").String(); got != "messages" {
		t.Errorf("param %q", got)
	}
}

func TestWrite_replaces_what_was_there_and_rounds_the_wait_up(t *testing.T) {
	var ctx fasthttp.RequestCtx
	ctx.SetBodyString("half an answer")
	e := &Error{Status: http.StatusTooManyRequests, Type: TypeOf(http.StatusTooManyRequests), Code: "busy", Message: "later", RetryAfter: 1200 * time.Millisecond}
	e.Write(&ctx)
	if got := &ctx.Response; got.StatusCode() != 429 || string(got.Header.Peek("Retry-After")) != "2" ||
		string(got.Header.ContentType()) != "application/json" || string(got.Body()) != string(e.JSON()) {
		t.Errorf("response %s", got.String())
	}
}

func TestWrite_keeps_SDKs_from_repeating_what_is_final(t *testing.T) {
	for _, final := range []bool{true, false} {
		var ctx fasthttp.RequestCtx
		(&Error{Status: http.StatusTooManyRequests, Code: "insufficient_quota", Final: final}).Write(&ctx)
		if got := string(ctx.Response.Header.Peek("x-should-retry")); (got == "false") != final {
			t.Errorf("final %t: %q", final, got)
		}
	}
}

func TestTypeOf_follows_the_status(t *testing.T) {
	for status, want := range map[int]string{400: TypeInvalidRequest, 401: TypeAuthentication, 403: TypeAuthentication, 404: TypeInvalidRequest, 429: TypeRateLimit, 500: TypeServer, 503: TypeServer} {
		if got := TypeOf(status); got != want {
			t.Errorf("%d: %s, want %s", status, got, want)
		}
	}
}
