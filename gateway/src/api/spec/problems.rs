//! Every problem that the API can answer with: its status, its code, why, and what to do.
//!
//! Clients decide by `code`. Invariant: a code that the gateway's sources write stands here, and one that stands here is written
//! somewhere; a test compares both.

use super::{Answer, Body, Cursors, Endpoint};
use http::Method;
use std::collections::BTreeSet;

pub struct Entry {
    pub status: u16,
    pub code: &'static str,
    pub cause: &'static str,
    pub remedy: &'static str,
}

macro_rules! problems {
    ($($status:literal $code:literal: $cause:literal => $remedy:literal;)+) => {
        /// Sorted by status.
        pub const ALL: &[Entry] = &[$(Entry { status: $status, code: $code, cause: $cause, remedy: $remedy }),+];
    };
}

problems! {
    400 "malformed": "The request can't be read: no HTTP, no JSON, two credentials, an unknown preference" => "Correct it as `detail` says";
    400 "invalid_id": "An id in the path can't be one" => "Take ids from answers, unchanged";
    400 "cursor_invalid": "The cursor isn't one that this list gave for these filters" => "Start again without a cursor";
    400 "idempotency_unsupported": "What gives or ends a session takes no Idempotency-Key: its answer is kept nowhere" => "Send it without";
    400 "body_incomplete": "The body ended before its announced length; nothing was kept" => "Send it again";
    401 "unauthenticated": "There is no token or session, or it isn't valid any more" => "Send a valid token as `Authorization: Bearer ptk_…`, or log in";
    401 "wrong_credentials": "The address or the password is wrong" => "Correct it, or ask the operator to reset the password";
    403 "cross_origin": "A page of another site sent this with the session's cookie, or nobody said who did" => "Send it from our own pages, outside of a browser with `Sec-Fetch-Site: none`, or with a token";
    403 "user_required": "This is for people, and a token was sent" => "Log in with `POST /api/v1/auth/login`, and send the session's cookie instead";
    403 "role_too_high": "It is about a role above your own" => "Ask somebody who has it";
    403 "registration_closed": "The operator doesn't let everybody make an account" => "Ask for an invitation";
    403 "invitation_of_another": "The invitation is for another address than yours" => "Use the account of that address";
    403 "forbidden": "The token's role, scopes or connections don't allow this; `detail` names what is missing" => "Use a token that may";
    403 "address_not_allowed": "The token may not be used from this address" => "Use it from one of its `allowed_ips`, or make another";
    404 "not_found": "The thing doesn't exist, or belongs to another organization" => "Look at the list that it was in";
    404 "connection_not_found": "There is no connection of that id" => "List the connections";
    404 "no_such_path": "The API has no such path" => "Compare it with this document";
    404 "nothing_deployed": "Nothing is deployed in that environment yet" => "Deploy, or release a deployment to it";
    405 "method_not_allowed": "The path doesn't take this method" => "The `Allow` header names what it takes";
    408 "body_too_slow": "The body did not arrive in time" => "Send it again over a better line";
    409 "conflict": "It exists already, or is in a state that forbids this" => "Read it again and decide anew";
    409 "quota_exceeded": "The host's plan is used up" => "Delete something, or upgrade the plan at the host";
    409 "canceled": "The operation was canceled before it was carried out" => "Ask again if you still want it";
    409 "operation_finished": "A finished operation can't be canceled" => "Read its result";
    409 "operation_not_cancelable": "The operation is at a point where it can't be stopped" => "Wait for its end";
    409 "operations_running": "The connection has operations that aren't finished; `detail` names some" => "Wait for them, cancel them, or delete it with `force=true`";
    409 "email_taken": "There is an account of this address" => "Log in";
    409 "account_exists": "The invited address has an account" => "Log in, then accept the invitation with the session";
    409 "already_member": "The address is a member of the organization" => "Change the member's role instead";
    409 "sole_owner": "The organization would be left without an owner" => "Make another member an owner first; alone in it, invite somebody, or ask the operator";
    409 "too_many_members": "The organization has as many members as it may" => "Take somebody out";
    409 "too_many_invitations": "The organization has as many open invitations as it may" => "Withdraw some";
    409 "protected": "The site, or one of the connection's sites, is protected from deletion by its label" => "Lift the label `protected` first: PATCH the site's `labels`; a connection also goes with `force=true`";
    409 "idempotency_in_progress": "The first request with this Idempotency-Key isn't answered yet" => "Ask again as `Retry-After` says";
    409 "idempotency_answer_lost": "A change was made under this Idempotency-Key, and its answer was lost when the gateway stopped, or could not be kept" => "Look at what is there; it is not done again";
    409 "too_many_connections": "The organization has as many connections as it may have, or has used up as many ids of connections" => "Delete those that aren't used any more, or change what there is; `detail` says which";
    409 "too_many_tokens": "The organization has as many tokens as it may have" => "Delete those that aren't used any more";
    410 "cursor_expired": "The snapshot behind the cursor had to go" => "Start again without a cursor";
    411 "length_required": "An upload must announce its length" => "Send `Content-Length`";
    412 "precondition_failed": "A change came with `If-Match`, `If-None-Match` or `If-Unmodified-Since`, which no change takes" => "Read, compare, and send it without";
    413 "body_too_large": "The body is larger than the endpoint takes" => "Send less; `detail` names the limit";
    415 "unsupported_content_coding": "The body is compressed, as its `Content-Encoding` says" => "Send it as it is";
    415 "unsupported_media_type": "The body isn't declared as JSON" => "Send `Content-Type: application/json`";
    422 "invalid_input": "A value doesn't fit; `fields` names it" => "Correct the value";
    422 "wrong_password": "The present password, sent to change it, is wrong" => "Send the present password as `current`";
    422 "grant_missing": "The operator hasn't allowed what the connection would need" => "Ask the operator for the grant that `detail`, or the gateway's log, names";
    422 "secret_unbound": "The change would send a secret to another address, or over another trust, than it was given for" => "Give the secret again in the same request";
    422 "idempotency_key_reused": "This Idempotency-Key was used for another request" => "Choose a new key for a new request";
    422 "invitation_invalid": "The invitation isn't open: accepted, withdrawn, replaced, or over" => "Ask for another";
    422 "hash_mismatch": "The bytes have another hash than announced; nothing was kept" => "Send them again, or correct the hash";
    429 "rate_limited": "The address, token or organization has used up its rate; `detail` names the limit" => "Come back after `Retry-After`; the `RateLimit` headers tell what is left";
    429 "too_many_attempts": "Too many logins of this account failed from your address" => "Wait as long as `Retry-After` says";
    429 "too_many_uploads": "The plan has ten uploads going on" => "Let one finish, or try again as `Retry-After` says";
    429 "upstream_rate_limited": "The host asked to slow down" => "Wait as long as `Retry-After` says";
    431 "head_too_large": "The request's head is larger than 32 KiB or has more than 100 header fields" => "Send fewer or shorter header fields; look for cookies that aren't ours";
    500 "internal": "The gateway itself failed; its log has the reason" => "Tell the operator the `request_id`";
    501 "unsupported": "The host can't do this; `fields` names the feature" => "Look at the connection's `features` before asking";
    502 "upstream_credentials": "The host refused the connection's credential" => "Give the connection a valid one";
    502 "upstream_invalid": "The host answered something that makes no sense" => "Try again later, or ask the host's support";
    502 "provider_failed": "The provider's component failed" => "Tell the operator the `request_id`";
    502 "secret_unbound": "A secret was given for another address or trust" => "Give the secret again: PATCH the connection's `secrets`";
    502 "grant_missing": "The operator hasn't allowed what the connection needs" => "Ask the operator for the grant that `detail`, or the gateway's log, names";
    502 "upstream_not_granted": "The provider asked for an upstream that the connection doesn't have" => "Tell the provider's author";
    502 "request_refused": "The provider sent what a rule forbids" => "Tell the provider's author; the log names the rule";
    502 "interrupted": "It can't be known whether the host carried it out, and it won't be sent again" => "Look at the host, then decide";
    503 "upstream_unavailable": "The host is down, or refuses connections" => "Try again as `Retry-After` says";
    503 "upstream_tls": "The host's TLS certificate isn't trusted" => "Give the connection the right certificate authority or fingerprint";
    503 "overloaded": "The gateway has no room for this now" => "Try again as `Retry-After` says";
    503 "too_many_watchers": "The organization watches as many streams as it may" => "Close some, or try again as `Retry-After` says";
    503 "idempotency_unavailable": "The store fails, or has no room for this Idempotency-Key" => "Try again with the same key, as `Retry-After` says";
    504 "request_timeout": "The answer took longer than the gateway lets a request take" => "Ask again; a change that was accepted goes on as its operation";
    504 "upstream_timeout": "The host didn't answer in time" => "Try again later; a change goes on as its operation says";
}

/// The statuses of problems that an endpoint can answer with.
pub fn statuses(endpoint: &Endpoint) -> BTreeSet<u16> {
    // Every endpoint refuses a parameter that it doesn't take.
    let mut statuses = BTreeSet::from([400, 401, 403, 422, 429, 431, 500, 503, 504]);
    if endpoint.path.contains('{') {
        statuses.insert(404);
    }
    if matches!(endpoint.body, Some(Body::Bytes)) {
        statuses.insert(411);
    }
    if endpoint.query.is_some() {
        // A connection that is named there may not exist.
        statuses.insert(404);
    }
    if endpoint.method != Method::GET {
        // Whatever takes no body refuses one.
        statuses.extend([403, 404, 408, 409, 412, 413, 415, 502]);
    }
    if endpoint.group() == "auth" {
        statuses.insert(429);
    }
    if matches!(endpoint.answer, Answer::List(_, Cursors::Pinned | Cursors::Keys) | Answer::ProgressList(_)) {
        statuses.insert(410);
    }
    if endpoint.asks_provider() {
        statuses.extend([404, 409, 501, 502]);
    }
    statuses
}
