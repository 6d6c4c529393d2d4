/*
 * hoopauth 0.1.0 - authentication for programs that talk to the HoopAI platform.
 *
 * Made by cbindgen from crates/hoopauth-capi; `make generate` writes it anew. MIT OR Apache-2.0.
 *
 * THE CONTRACT
 *
 * Names      Every name is hoopauth_<noun>_<verb>. Types are opaque and end in _t. Functions that
 *            act for a client begin with hoopauth_client_.
 *
 * Status     A function that can fail, constructors included, returns a hoopauth_status_t:
 *            HOOPAUTH_OK (0) or a code. Codes are constants, never an enum: later versions may add
 *            codes, and an unknown code means failure. In-parameters come first, then the
 *            out-parameter, then an optional hoopauth_error_t **err (NULL if you do not want it),
 *            which receives the details. Each call begins by setting *out and *err to NULL, so you
 *            own whatever is not NULL afterwards.
 *
 * Text       Input is UTF-8: a pointer and a length in bytes. The length HOOPAUTH_NUL_TERMINATED
 *            means 'up to the NUL'. NULL with length 0 is empty text. The library copies texts.
 *            Output is borrowed from the handle that you asked: it is NUL-terminated, and valid
 *            until that handle is changed or freed; an optional size_t receives its length. Bodies
 *            are bytes: they may contain NULs, and one more NUL follows them.
 *
 * Ownership  You free handles only, each with its own _free, which accepts NULL. Handles with a
 *            _ref are counted: free each reference on its own. The library never frees your memory,
 *            and you never free the library's.
 *
 * Threads    Any number of threads may call functions that take a const handle at once; other
 *            functions need the handle for themselves. Do not free a handle while another thread
 *            uses it; take a _ref for that thread. A callback may free the references that its own
 *            call began with: the library holds what it needs until the call ends. The library
 *            starts threads for maintenance, for calls with a context (calls for the headers of one
 *            account share one; at most 64 abandoned calls go on) and, briefly, to look up names
 *            and to finish refreshes that a crash interrupted.
 *
 * Waiting    Functions that may wait take a hoopauth_context_t, by which another thread can end the
 *            wait. With NULL, the option `timeout` limits the wait. Time spans are seconds as
 *            double, and moments are milliseconds since the Unix epoch as int64_t.
 *
 * Refresh    A failed refresh is noted in the store. Until the noted time, each caller in every
 *            process gets the account's token while the token lives. After that, each caller gets
 *            the same error at once, and hoopauth_error_retry_after returns the remaining time. A
 *            login, an import or a successful refresh deletes the note. If a wrong client_id,
 *            client_secret or token_url caused the failure, the corrected option deletes it, too.
 *            HOOPAUTH_REAUTHORIZATION_REQUIRED has no such time: only the user can help.
 *            docs/guides/refresh.md lists the times.
 *
 * Structs    A struct that the library fills in begins with `struct_size`: set it to sizeof the
 *            struct. If the struct is of a later version, the library leaves the members that it
 *            does not know unchanged.
 *
 * NULL       A NULL where a handle or text is needed is HOOPAUTH_INVALID_ARGUMENT, never a crash.
 *            Accessors of a NULL handle return nothing (NULL, 0, false). Where a function takes an
 *            account, NULL means the client's default account.
 *
 * Callbacks  Callbacks are structs of functions. `struct_size` is sizeof the struct; zero the
 *            struct first, so that members of later versions are zero. `user_data` comes back as
 *            the first argument. `destroy` is called once, when nothing uses the table any more,
 *            and never if the registration failed. The library copies the table. It calls callbacks
 *            from any thread, several at once, and holds no lock meanwhile except the account's
 *            lease. Callbacks must not throw or longjmp through the library. A call of the
 *            library's clients from within a callback is HOOPAUTH_INVALID_STATE, except that cached
 *            headers may be served. Arguments of a callback are valid until it returns. The library
 *            cannot tell green threads (fibers) apart: a fiber that runs while another fiber on its
 *            thread is in a callback counts as inside that callback.
 *
 * Fork       A forked child makes its own client, and need not free its parent's handles. From the
 *            parent's client it gets the headers that were cached at the fork, by account and by
 *            name, with or without a context, until their token ends. Those headers are not
 *            refreshed in the child, and the child does not see changes in the store. Everything
 *            else is HOOPAUTH_INVALID_STATE.
 *
 * Secrets    Error messages, log records and names contain no secret. Tokens come out of the
 *            functions that say so, and nowhere else. The library wipes its secrets when it frees
 *            them.
 *
 * Versions   A program that was compiled against this header runs on every library that has the
 *            same HOOPAUTH_ABI_VERSION (see hoopauth_abi_version) and is not older. Each
 *            declaration says since which version it exists.
 */
#ifndef HOOPAUTH_H
#define HOOPAUTH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Version of this header, as text; hoopauth_version() returns the version of the library. */
#define HOOPAUTH_VERSION "0.1.0"

/* Length of a text that ends with its NUL. */
#define HOOPAUTH_NUL_TERMINATED SIZE_MAX

/* ---- Versions --------------------------------------------------------*/

/**
 * The version of the ABI that this header describes. It changes only where a program that was
 * compiled against an older header can't run on the library any more.
 */
#define HOOPAUTH_ABI_VERSION 1

/**
 * The version of the library, as numbers.
 */
#define HOOPAUTH_VERSION_MAJOR 0

/**
 * See HOOPAUTH_VERSION_MAJOR.
 */
#define HOOPAUTH_VERSION_MINOR 1

/**
 * See HOOPAUTH_VERSION_MAJOR.
 */
#define HOOPAUTH_VERSION_PATCH 0

/**
 * The version of the ABI that the library has. A program that was compiled with another
 * HOOPAUTH_ABI_VERSION must not use it.
 *
 * Any thread. Since 0.1.
 */
uint32_t hoopauth_abi_version(void);

/**
 * The version of the library, such as "0.1.0"; the macro HOOPAUTH_VERSION is that of the header.
 *
 * Returns static text; never NULL. Any thread. Since 0.1.
 */
const char *hoopauth_version(void);

/* ---- Status codes ----------------------------------------------------*/

/**
 * Result of every fallible function: HOOPAUTH_OK or the code of a failure. An unknown code means
 * failure.
 */
typedef int32_t hoopauth_status_t;

/**
 * Success.
 */
#define HOOPAUTH_OK 0

/**
 * An argument is empty, too long, not UTF-8 or of the wrong form: correct the argument that the
 * message names.
 */
#define HOOPAUTH_INVALID_ARGUMENT 1

/**
 * The client is closed, is a parent process's, is called from its own callback, or has no
 * credential for this: correct the program as the message says.
 */
#define HOOPAUTH_INVALID_STATE 2

/**
 * The caller cancelled the wait: nothing; a refresh under way goes on.
 */
#define HOOPAUTH_CANCELLED 3

/**
 * An option is unknown, missing or wrong: correct the option that the message names.
 */
#define HOOPAUTH_CONFIG 10

/**
 * The server could not be reached or the connection broke: check the network; try again, after
 * retry_after if it is set.
 */
#define HOOPAUTH_NETWORK 20

/**
 * No answer came in time: try again, after retry_after if it is set; a refresh under way goes
 * on.
 */
#define HOOPAUTH_TIMEOUT 21

/**
 * The server's certificate could not be verified: look at the computer's clock and at the server's
 * certificate, or name its authority with ca_file; the message says which.
 */
#define HOOPAUTH_TLS 22

/**
 * The grant is over for good: send the user through authorization again.
 */
#define HOOPAUTH_REAUTHORIZATION_REQUIRED 30

/**
 * There is no grant for this account: send the user through authorization, or import a grant.
 */
#define HOOPAUTH_NO_GRANT 31

/**
 * The redirect's state is missing, wrong, expired or was used before: begin the authorization
 * again.
 */
#define HOOPAUTH_STATE_MISMATCH 32

/**
 * The user, or the platform, refused the authorization: ask the user; begin again.
 */
#define HOOPAUTH_AUTHORIZATION_DENIED 33

/**
 * The token endpoint refuses the request, for its client id, secret, code or parameters: correct
 * what the message names; if it names the code, begin the login again.
 */
#define HOOPAUTH_TOKEN_REQUEST_REJECTED 34

/**
 * The account is paused or unpaid; its grant is kept: activate the account at HoopAI.
 */
#define HOOPAUTH_ACCOUNT_INACTIVE 35

/**
 * The answer is not what the protocol allows, or comes from something on the way, such as a
 * firewall: check token_url, and firewalls, proxies and login pages on the way; try again after
 * retry_after.
 */
#define HOOPAUTH_MALFORMED_RESPONSE 36

/**
 * A limit is reached: try again after retry_after.
 */
#define HOOPAUTH_RATE_LIMITED 37

/**
 * The token lacks a scope: add the scope to the app and to scopes, and authorize again.
 */
#define HOOPAUTH_INSUFFICIENT_SCOPE 40

/**
 * A company's token where a location's is needed, or the reverse: use the other account; if a
 * refresh meets this and it stays, authorize again.
 */
#define HOOPAUTH_WRONG_TOKEN_CLASS 41

/**
 * The token speaks for another account than the one that was asked for: use the account that the
 * request names; if a refresh meets this and it stays, authorize again.
 */
#define HOOPAUTH_WRONG_ACCOUNT 42

/**
 * The platform refuses the Private Integration token: copy the current token from the account's
 * settings.
 */
#define HOOPAUTH_INVALID_PRIVATE_INTEGRATION 43

/**
 * Another HTTP status that is a failure: do what the message says; if retryable, try again,
 * after retry_after if it is set.
 */
#define HOOPAUTH_HTTP_STATUS 44

/**
 * The store could not read or write: repair the store as the message says, its folder, rights,
 * space or server.
 */
#define HOOPAUTH_STORE 50

/**
 * Another process or thread still refreshes this account after max_wait, or handles this
 * webhook: try again; answer 429 to the webhook.
 */
#define HOOPAUTH_LEASE_TIMEOUT 51

/**
 * The store's key is missing or not the one that its rows were sealed with: set store_key to the
 * key that the rows were sealed with.
 */
#define HOOPAUTH_STORE_KEY 52

/**
 * A stored row can't be opened or read: authorize or import this account again, or do what the
 * message says; look for who else writes to the store.
 */
#define HOOPAUTH_STORE_CORRUPT 53

/**
 * The webhook carries no signature, or none of a scheme that a key is there for: answer 401.
 */
#define HOOPAUTH_SIGNATURE_MISSING 60

/**
 * The webhook's signature is malformed, or no key made it: answer 401; check the keys, and that
 * the body is what came byte for byte.
 */
#define HOOPAUTH_SIGNATURE_INVALID 61

/**
 * The webhook is older than max_age, from the future, or has no time: answer 400; check the
 * computer's clock.
 */
#define HOOPAUTH_WEBHOOK_STALE 62

/**
 * The webhook was handled before: answer 200, and do nothing.
 */
#define HOOPAUTH_WEBHOOK_REPLAYED 63

/**
 * The webhook's body can't be read as an event, or is longer than max_body: answer 400.
 */
#define HOOPAUTH_WEBHOOK_MALFORMED 64

/**
 * The webhook is genuine, but of another app, or of an account without a grant here: answer 200,
 * and do nothing.
 */
#define HOOPAUTH_WEBHOOK_FOREIGN 65

/**
 * A panic was caught at a language border: report it, with the message.
 */
#define HOOPAUTH_PANIC 90

/**
 * A defect of hoopauth, or a computer without a resource that it needs: report it, with the
 * message; try again if retryable.
 */
#define HOOPAUTH_INTERNAL 91

/**
 * A callback of the program failed: correct your store, transport, clock or hook.
 */
#define HOOPAUTH_CALLBACK_FAILED 92

/**
 * The name of a status, such as "NO_GRANT"; "OK" for success, "UNKNOWN" for a number this version
 * does not know.
 *
 * Returns static text; never NULL. Any thread. Since 0.1.
 */
const char *hoopauth_status_name(hoopauth_status_t status);

/* ---- Errors ----------------------------------------------------------*/

/**
 * Reason why a call failed: what happened, what to do next, and what the server said. It contains
 * no secret.
 *
 * The caller owns it and frees it with hoopauth_error_free. Its texts live as long as it does.
 * Any thread may read it.
 */
typedef struct hoopauth_error_t hoopauth_error_t;

/**
 * The status that the call returned; HOOPAUTH_OK for NULL.
 *
 * Any thread. Since 0.1.
 */
hoopauth_status_t hoopauth_error_code(const hoopauth_error_t *error);

/**
 * Returns what happened and what to do next, for people.
 *
 * len, if not NULL, gets the length in bytes. Returns text borrowed from error; NULL if the
 * handle is NULL. Any thread. Since 0.1.
 */
const char *hoopauth_error_message(const hoopauth_error_t *error, size_t *len);

/**
 * The HTTP status of the answer that caused the error; 0 if there was none, and for NULL.
 *
 * Any thread. Since 0.1.
 */
uint16_t hoopauth_error_http_status(const hoopauth_error_t *error);

/**
 * The server's own words, at most 500 characters, without control characters and without what
 * looks like a token.
 *
 * len, if not NULL, gets the length in bytes. Returns text borrowed from error, or NULL if
 * there is none. Any thread. Since 0.1.
 */
const char *hoopauth_error_server_message(const hoopauth_error_t *error, size_t *len);

/**
 * The server's traceId, for HoopAI's support.
 *
 * len, if not NULL, gets the length in bytes. Returns text borrowed from error, or NULL if
 * there is none. Any thread. Since 0.1.
 */
const char *hoopauth_error_trace_id(const hoopauth_error_t *error, size_t *len);

/**
 * Returns the seconds to wait before the next try; negative if that is not known, and for NULL.
 * Until then a failed refresh gives the same error.
 *
 * Any thread. Since 0.1.
 */
double hoopauth_error_retry_after(const hoopauth_error_t *error);

/**
 * Returns true if the same call can succeed later although nobody changes anything; false for
 * NULL.
 *
 * Any thread. Since 0.1.
 */
bool hoopauth_error_is_retryable(const hoopauth_error_t *error);

/**
 * The account it is about, such as "location:ve9EPM428h8vShlRW1KT".
 *
 * len, if not NULL, gets the length in bytes. Returns text borrowed from error, or NULL if
 * there is none. Any thread. Since 0.1.
 */
const char *hoopauth_error_account(const hoopauth_error_t *error, size_t *len);

/**
 * Frees an error. Does nothing for NULL.
 *
 * Its texts must not be used afterwards. Since 0.1.
 */
void hoopauth_error_free(hoopauth_error_t *error);

/* ---- Text ------------------------------------------------------------*/

/**
 * A text that the library made. The caller owns it and frees it with hoopauth_text_free. Any
 * thread may read it.
 */
typedef struct hoopauth_text_t hoopauth_text_t;

/**
 * The text itself.
 *
 * len, if not NULL, gets the length in bytes. Returns text borrowed from text; NULL if the
 * handle is NULL. Any thread. Since 0.1.
 */
const char *hoopauth_text_data(const hoopauth_text_t *text, size_t *len);

/**
 * Frees a text and wipes it. Does nothing for NULL. Since 0.1.
 */
void hoopauth_text_free(hoopauth_text_t *text);

/* ---- Deadlines and cancellation --------------------------------------*/

/**
 * Deadline for calls, and a switch that ends their waits from another thread.
 *
 * Every function that may wait takes one; NULL there means: the option timeout, and no switch.
 * What ends is the wait: a token request that was sent is finished on a thread of its own and its
 * answer saved, so that cancelling never costs a grant. While many calls go on that were left,
 * further ones wait, within their contexts, until one of those ends. Counted:
 * hoopauth_context_ref, hoopauth_context_free. Any thread may use it.
 */
typedef struct hoopauth_context_t hoopauth_context_t;

/**
 * Makes a context whose calls end timeout seconds from now at the latest, with
 * HOOPAUTH_TIMEOUT; infinity for no end.
 *
 * *out is the caller's to free. Errors: HOOPAUTH_INVALID_ARGUMENT for a negative timeout or
 * one that is no number. Any thread. Since 0.1.
 */
hoopauth_status_t hoopauth_context_new(double timeout, hoopauth_context_t **out, hoopauth_error_t **err);

/**
 * Ends all waits within context, those under way and those to come, with HOOPAUTH_CANCELLED.
 *
 * Errors: HOOPAUTH_INVALID_ARGUMENT for NULL. Any thread. Since 0.1.
 */
hoopauth_status_t hoopauth_context_cancel(const hoopauth_context_t *context, hoopauth_error_t **err);

/**
 * Returns true if the context was cancelled; false for NULL. Any thread. Since 0.1.
 */
bool hoopauth_context_is_cancelled(const hoopauth_context_t *context);

/**
 * One more reference, to be freed like the first; returns context, NULL if the handle is NULL.
 * Any thread. Since 0.1.
 */
hoopauth_context_t *hoopauth_context_ref(const hoopauth_context_t *context);

/**
 * Gives up one reference. Does nothing for NULL. Calls under way within it go on.
 * Since 0.1.
 */
void hoopauth_context_free(hoopauth_context_t *context);

/* ---- Failures of callbacks -------------------------------------------*/

/**
 * Place where a callback puts its reason, beside the status that it returns. It belongs to the
 * library, and is valid until the callback returns.
 */
typedef struct hoopauth_failure_t hoopauth_failure_t;

/**
 * Says what happened, for the message of the error that the caller of the library gets. No
 * secrets; what looks like a token is cut out.
 *
 * Copied. Errors: HOOPAUTH_INVALID_ARGUMENT. Only in the callback that got failure. Since 0.1.
 */
hoopauth_status_t hoopauth_failure_set_message(hoopauth_failure_t *failure,
                                               const char *message,
                                               size_t message_len,
                                               hoopauth_error_t **err);

/**
 * Says whether the same call can succeed later with nothing changed by a person.
 *
 * Errors: for NULL. Only in the callback that got failure. Since 0.1.
 */
hoopauth_status_t hoopauth_failure_set_retryable(hoopauth_failure_t *failure,
                                                 bool retryable,
                                                 hoopauth_error_t **err);

/* ---- Log -------------------------------------------------------------*/

/**
 * Log level: nothing.
 */
#define HOOPAUTH_LOG_OFF 0

/**
 * Log level: something was lost or is about to be.
 */
#define HOOPAUTH_LOG_ERROR 1

/**
 * Log level: something failed and is tried again.
 */
#define HOOPAUTH_LOG_WARN 2

/**
 * Log level: what happened.
 */
#define HOOPAUTH_LOG_INFO 3

/**
 * Log level: why it happened.
 */
#define HOOPAUTH_LOG_DEBUG 4

/**
 * Log level: everything. No level holds secrets.
 */
#define HOOPAUTH_LOG_TRACE 5

/**
 * Callbacks that receive log records. See "Callbacks" on the first page.
 */
typedef struct {
  /**
   * sizeof(hoopauth_log_callbacks_t).
   */
  size_t struct_size;
  /**
   * Given to each callback.
   */
  void *user_data;
  /**
   * Called once, when the table is not used any more; may be NULL.
   */
  void (*destroy)(void *user_data);
  /**
   * Takes one record: its level, the part of the library it comes from, and its text. The texts
   * are valid until it returns.
   */
  void (*log)(void *user_data,
              int32_t level,
              const char *target,
              size_t target_len,
              const char *message,
              size_t message_len);
} hoopauth_log_callbacks_t;

/**
 * Sends the library's log records up to level to callbacks, in place of those before. For the
 * whole process: the log belongs to no client. callbacks NULL or level HOOPAUTH_LOG_OFF:
 * nowhere.
 *
 * The table is copied; its destroy is called if and only if this succeeds. Errors:
 * HOOPAUTH_INVALID_ARGUMENT; HOOPAUTH_INVALID_STATE where the library is linked into a Rust
 * program that has its own log. Any thread. Since 0.1.
 */
hoopauth_status_t hoopauth_log_set(int32_t level,
                                   const hoopauth_log_callbacks_t *callbacks,
                                   hoopauth_error_t **err);

/* ---- Headers ---------------------------------------------------------*/

/**
 * The headers for one request: Authorization, Version, User-Agent, and Content-Type where
 * the method carries a body.
 *
 * The caller owns it and frees it with hoopauth_headers_free; it may outlive its client. Its
 * texts live as long as it does. Any thread may read it.
 */
typedef struct hoopauth_headers_t hoopauth_headers_t;

/**
 * A header's name and value. Both end with a NUL, which the lengths do not count.
 */
typedef struct {
  /**
   * The name.
   */
  const char *name;
  /**
   * Length of name in bytes; as input it may be HOOPAUTH_NUL_TERMINATED.
   */
  size_t name_len;
  /**
   * The value.
   */
  const char *value;
  /**
   * Length of value in bytes; as input it may be HOOPAUTH_NUL_TERMINATED.
   */
  size_t value_len;
} hoopauth_header_t;

/**
 * Returns the number of headers; 0 for NULL. Any thread. Since 0.1.
 */
size_t hoopauth_headers_count(const hoopauth_headers_t *headers);

/**
 * One of the headers, by its number from 0.
 *
 * *header gets texts borrowed from headers. Errors: HOOPAUTH_INVALID_ARGUMENT for NULL and
 * for a number that is not below hoopauth_headers_count. Any thread. Since 0.1.
 */
hoopauth_status_t hoopauth_headers_at(const hoopauth_headers_t *headers,
                                      size_t index,
                                      hoopauth_header_t *header,
                                      hoopauth_error_t **err);

/**
 * The value of Authorization: "Bearer " and the token. A secret: send it, don't print it.
 *
 * len, if not NULL, gets the length in bytes. Returns text borrowed from headers; NULL if the
 * handle is NULL. Any thread. Since 0.1.
 */
const char *hoopauth_headers_authorization(const hoopauth_headers_t *headers, size_t *len);

/**
 * The value of Version.
 *
 * len, if not NULL, gets the length in bytes. Returns text borrowed from headers; NULL if the
 * handle is NULL. Any thread. Since 0.1.
 */
const char *hoopauth_headers_version(const hoopauth_headers_t *headers, size_t *len);

/**
 * The value of User-Agent. HoopAI's edge refuses requests without one.
 *
 * len, if not NULL, gets the length in bytes. Returns text borrowed from headers; NULL if the
 * handle is NULL. Any thread. Since 0.1.
 */
const char *hoopauth_headers_user_agent(const hoopauth_headers_t *headers, size_t *len);

/**
 * The value of Content-Type: "application/json" for POST, PUT and PATCH.
 *
 * len, if not NULL, gets the length in bytes. Returns text borrowed from headers, or NULL
 * if there is none. Any thread. Since 0.1.
 */
const char *hoopauth_headers_content_type(const hoopauth_headers_t *headers, size_t *len);

/**
 * The same headers with another Version, for an operation that documents another one.
 *
 * headers stays the caller's; *out is the caller's to free. Errors:
 * HOOPAUTH_INVALID_ARGUMENT. Any thread. Since 0.1.
 */
hoopauth_status_t hoopauth_headers_with_version(const hoopauth_headers_t *headers,
                                                const char *version,
                                                size_t version_len,
                                                hoopauth_headers_t **out,
                                                hoopauth_error_t **err);

/**
 * Frees headers. Does nothing for NULL. Since 0.1.
 */
void hoopauth_headers_free(hoopauth_headers_t *headers);

/* ---- Answers to API requests -----------------------------------------*/

/**
 * The answer to an API request.
 *
 * The caller owns what hoopauth_request_send made and frees it with hoopauth_response_free;
 * that of an error is the error's. What comes out of it lives as long as it does. Any thread may
 * read it.
 */
typedef struct hoopauth_response_t hoopauth_response_t;

/**
 * The HTTP status; 0 for NULL. Any thread. Since 0.1.
 */
uint16_t hoopauth_response_status(const hoopauth_response_t *response);

/**
 * Returns the number of headers; 0 for NULL. Any thread. Since 0.1.
 */
size_t hoopauth_response_header_count(const hoopauth_response_t *response);

/**
 * One of the headers in the order they came, by its number from 0. Names are in lower case.
 *
 * *header gets texts borrowed from response. Errors: HOOPAUTH_INVALID_ARGUMENT for NULL and
 * for a number that is not below hoopauth_response_header_count. Any thread. Since 0.1.
 */
hoopauth_status_t hoopauth_response_header_at(const hoopauth_response_t *response,
                                              size_t index,
                                              hoopauth_header_t *header,
                                              hoopauth_error_t **err);

/**
 * The value of the first header of that name, in any case.
 *
 * len, if not NULL, gets the length in bytes. Returns text borrowed from response, or NULL
 * if there is none. Any thread. Since 0.1.
 */
const char *hoopauth_response_header(const hoopauth_response_t *response,
                                     const char *name,
                                     size_t name_len,
                                     size_t *len);

/**
 * The body, decompressed. It may hold any bytes, NULs too; a NUL stands behind it.
 *
 * len, if not NULL, gets the length in bytes, 0 if there is none. Returns bytes borrowed from
 * response; NULL if the handle is NULL. Any thread. Since 0.1.
 */
const char *hoopauth_response_body(const hoopauth_response_t *response, size_t *len);

/**
 * The answer that an error is about, headers and body at hand.
 *
 * Returns a response that is borrowed from error, never to be freed; NULL if a request did not
 * end in an answer. Any thread. Since 0.1.
 */
const hoopauth_response_t *hoopauth_error_response(const hoopauth_error_t *error);

/**
 * Frees an answer. Does nothing for NULL. Since 0.1.
 */
void hoopauth_response_free(hoopauth_response_t *response);

/* ---- Grants ----------------------------------------------------------*/

/**
 * The stored result of an authorization of one account: access token, refresh token, expiry,
 * scopes, ids.
 *
 * The caller owns it and frees it with hoopauth_grant_free, which wipes it. Its texts live until
 * it is changed or freed. Any thread may read it; one thread at a time may change it.
 */
typedef struct hoopauth_grant_t hoopauth_grant_t;

/**
 * Makes a grant of an account, "location:<id>" or "company:<id>", to be imported. Until its end is
 * set, the access token counts as expired, so that the first use refreshes it.
 *
 * Texts are copied. *out is the caller's to free. Errors: HOOPAUTH_INVALID_ARGUMENT. Any
 * thread. Since 0.1.
 */
hoopauth_status_t hoopauth_grant_new(const char *account,
                                     size_t account_len,
                                     const char *access_token,
                                     size_t access_token_len,
                                     hoopauth_grant_t **out,
                                     hoopauth_error_t **err);

/**
 * Sets the refresh token. Copied. Errors: for NULL; a wrong one is told by the import. Since 0.1.
 */
hoopauth_status_t hoopauth_grant_set_refresh_token(hoopauth_grant_t *grant,
                                                   const char *refresh_token,
                                                   size_t refresh_token_len,
                                                   hoopauth_error_t **err);

/**
 * Sets when the access token ends, in milliseconds since the Unix epoch. Errors: for NULL. Since
 * 0.1.
 */
hoopauth_status_t hoopauth_grant_set_expires_at_ms(hoopauth_grant_t *grant,
                                                   int64_t expires_at_ms,
                                                   hoopauth_error_t **err);

/**
 * Sets the scopes it has, separated by spaces. Copied. Errors: for NULL. Since 0.1.
 */
hoopauth_status_t hoopauth_grant_set_scopes(hoopauth_grant_t *grant,
                                            const char *scopes,
                                            size_t scopes_len,
                                            hoopauth_error_t **err);

/**
 * Sets which company a location belongs to: its way back when the refresh token is lost. Copied.
 * Errors: for NULL; a wrong one is told by the import. Since 0.1.
 */
hoopauth_status_t hoopauth_grant_set_company_id(hoopauth_grant_t *grant,
                                                const char *company_id,
                                                size_t company_id_len,
                                                hoopauth_error_t **err);

/**
 * Returns the account of the grant.
 *
 * len, if not NULL, gets the length in bytes. Returns text borrowed from grant; NULL if the
 * handle is NULL. Any thread. Since 0.1.
 */
const char *hoopauth_grant_account(const hoopauth_grant_t *grant, size_t *len);

/**
 * The access token. A secret.
 *
 * len, if not NULL, gets the length in bytes. Returns text borrowed from grant; NULL if the
 * handle is NULL. Any thread. Since 0.1.
 */
const char *hoopauth_grant_access_token(const hoopauth_grant_t *grant, size_t *len);

/**
 * The refresh token. A secret, good for one use: whoever sends it outside this client spends it.
 *
 * len, if not NULL, gets the length in bytes. Returns text borrowed from grant, or NULL if
 * there is none. Any thread. Since 0.1.
 */
const char *hoopauth_grant_refresh_token(const hoopauth_grant_t *grant, size_t *len);

/**
 * The scopes, separated by spaces.
 *
 * len, if not NULL, gets the length in bytes. Returns text borrowed from grant; NULL if the
 * handle is NULL. Any thread. Since 0.1.
 */
const char *hoopauth_grant_scopes(const hoopauth_grant_t *grant, size_t *len);

/**
 * The company's id, also of a location.
 *
 * len, if not NULL, gets the length in bytes. Returns text borrowed from grant, or NULL if it
 * is not known. Any thread. Since 0.1.
 */
const char *hoopauth_grant_company_id(const hoopauth_grant_t *grant, size_t *len);

/**
 * The id of the user who authorized it.
 *
 * len, if not NULL, gets the length in bytes. Returns text borrowed from grant, or NULL if it
 * is not known. Any thread. Since 0.1.
 */
const char *hoopauth_grant_user_id(const hoopauth_grant_t *grant, size_t *len);

/**
 * Returns the moment at which the access token ends, in milliseconds since the Unix epoch; 0 for
 * NULL. Where the platform says that it lives for no time or less (expires_in of 0, or negative),
 * it counts as 60 seconds from when it was asked for; where it says nothing, as 86 399. Any
 * thread. Since 0.1.
 */
int64_t hoopauth_grant_expires_at_ms(const hoopauth_grant_t *grant);

/**
 * Returns the moment at which the token pair was requested or imported, in milliseconds since the
 * Unix epoch; 0 for NULL and before it is stored. Any thread. Since 0.1.
 */
int64_t hoopauth_grant_obtained_at_ms(const hoopauth_grant_t *grant);

/**
 * Returns the moment at which the user authorized the grant, or it was imported or minted, in
 * milliseconds since the Unix epoch; 0 for NULL and before it is stored. Any thread. Since 0.1.
 */
int64_t hoopauth_grant_authorized_at_ms(const hoopauth_grant_t *grant);

/**
 * Returns true if the grant was minted from its company's token; false for NULL. Any thread. Since
 * 0.1.
 */
bool hoopauth_grant_is_minted(const hoopauth_grant_t *grant);

/**
 * Frees a grant and wipes it. Does nothing for NULL. Since 0.1.
 */
void hoopauth_grant_free(hoopauth_grant_t *grant);

/* ---- Configuration ---------------------------------------------------*/

/**
 * Configuration of a client: options by name, and the host's own store, transport and clock.
 *
 * The caller owns it and frees it with hoopauth_config_free; clients keep what they need of it.
 * One thread at a time.
 */
typedef struct hoopauth_config_t hoopauth_config_t;

/**
 * Makes an empty configuration.
 *
 * *out is the caller's to free. Errors: only for NULL. Any thread. Since 0.1.
 */
hoopauth_status_t hoopauth_config_new(hoopauth_config_t **out, hoopauth_error_t **err);

/**
 * Sets an option by its name. Every option, its meaning, unit and limits stand in docs/options.md;
 * the last value wins.
 *
 * Values are text: seconds as decimals, lists separated by spaces. Both texts are copied, and the
 * value is wiped with the configuration. Errors: HOOPAUTH_CONFIG, with the option's name in the
 * message. Since 0.1.
 */
hoopauth_status_t hoopauth_config_set(hoopauth_config_t *config,
                                      const char *name,
                                      size_t name_len,
                                      const char *value,
                                      size_t value_len,
                                      hoopauth_error_t **err);

/**
 * Lets the environment fill the unset options when a client is made: HOOPAUTH_<OPTION>, then
 * HoopAI's own HOOPAI_TOKEN (a Private Integration token) and LOCATION_ID (the default
 * account).
 *
 * Errors: only for NULL. Since 0.1.
 */
hoopauth_status_t hoopauth_config_use_environment(hoopauth_config_t *config, hoopauth_error_t **err);

/**
 * Names the language of a binding, for the User-Agent: "hoopauth/0.1.0 (<language>)". Unset, it
 * is "c".
 *
 * 1 to 32 letters, digits, '+', '#', '.', '-', '/' or spaces; copied. Errors:
 * HOOPAUTH_INVALID_ARGUMENT. Since 0.1.
 */
hoopauth_status_t hoopauth_config_set_language(hoopauth_config_t *config,
                                               const char *language,
                                               size_t language_len,
                                               hoopauth_error_t **err);

/**
 * Frees a configuration and wipes it. Does nothing for NULL. Clients made of it go
 * on. Since 0.1.
 */
void hoopauth_config_free(hoopauth_config_t *config);

/* ---- A clock of the host's own ---------------------------------------*/

/**
 * A clock of the host's own, for tests and simulations. See "Callbacks" on the first page. Called
 * on the hot path: it must be quick and must not block.
 */
typedef struct {
  /**
   * sizeof(hoopauth_clock_callbacks_t).
   */
  size_t struct_size;
  /**
   * Given to each callback.
   */
  void *user_data;
  /**
   * Called once, when the table is not used any more; may be NULL.
   */
  void (*destroy)(void *user_data);
  /**
   * Milliseconds since the Unix epoch. May jump.
   */
  int64_t (*now_ms)(void *user_data);
  /**
   * Milliseconds on a clock that never jumps; its zero is arbitrary.
   */
  uint64_t (*monotonic_ms)(void *user_data);
  /**
   * Lets that many milliseconds pass. NULL: they pass in real time.
   */
  void (*sleep_ms)(void *user_data, uint64_t duration_ms);
} hoopauth_clock_callbacks_t;

/**
 * Gives clients the host's clock instead of the system's.
 *
 * The table is copied; its destroy is called if and only if this succeeds. Errors:
 * HOOPAUTH_INVALID_ARGUMENT. Since 0.1.
 */
hoopauth_status_t hoopauth_config_set_clock(hoopauth_config_t *config,
                                            const hoopauth_clock_callbacks_t *callbacks,
                                            hoopauth_error_t **err);

/* ---- News of grants --------------------------------------------------*/

/**
 * A change: a new authorization or import was stored.
 */
#define HOOPAUTH_CHANGE_SAVED 1

/**
 * A change: the tokens were refreshed or minted.
 */
#define HOOPAUTH_CHANGE_REFRESHED 2

/**
 * A change: a new pair could not be saved and is held in memory. Mend the store: the next call
 * saves it.
 */
#define HOOPAUTH_CHANGE_UNSAVED 3

/**
 * A change: the grant was removed.
 */
#define HOOPAUTH_CHANGE_REMOVED 4

/**
 * A change: the platform refused the grant for good. Send the user through authorization again.
 */
#define HOOPAUTH_CHANGE_REFUSED 5

/**
 * Callbacks that are told of changes of grants. See "Callbacks" on the first page.
 */
typedef struct {
  /**
   * sizeof(hoopauth_change_callbacks_t).
   */
  size_t struct_size;
  /**
   * Given to each callback.
   */
  void *user_data;
  /**
   * Called once, when the table is not used any more; may be NULL.
   */
  void (*destroy)(void *user_data);
  /**
   * Called after each change, with the account, the stored generation it is about, and one of
   * the constants HOOPAUTH_CHANGE_; unknown ones may come. The text is valid until it returns.
   */
  void (*changed)(void *user_data, const char *account, size_t account_len, uint64_t generation, int32_t kind);
} hoopauth_change_callbacks_t;

/**
 * Lets clients tell the host of each change of a grant.
 *
 * The table is copied; its destroy is called if and only if this succeeds. Errors:
 * HOOPAUTH_INVALID_ARGUMENT. Since 0.1.
 */
hoopauth_status_t hoopauth_config_set_change(hoopauth_config_t *config,
                                             const hoopauth_change_callbacks_t *callbacks,
                                             hoopauth_error_t **err);

/* ---- HTTP of the host's own ------------------------------------------*/

/**
 * A request that the host is to send. It is the library's, and valid until send returns.
 */
typedef struct hoopauth_transport_request_t hoopauth_transport_request_t;

/**
 * Place where the host puts the answer. It belongs to the library, and is valid until send
 * returns.
 */
typedef struct hoopauth_transport_response_t hoopauth_transport_response_t;

/**
 * HTTP of the host's own, instead of the library's. See "Callbacks" on the first page.
 */
typedef struct {
  /**
   * sizeof(hoopauth_transport_callbacks_t).
   */
  size_t struct_size;
  /**
   * Given to each callback.
   */
  void *user_data;
  /**
   * Called once, when the table is not used any more; may be NULL.
   */
  void (*destroy)(void *user_data);
  /**
   * Sends request and puts the answer into response. It must not follow redirects, must
   * verify certificates, and must give up after the request's timeout. An HTTP status of 4xx or
   * 5xx is an answer, not an error.
   *
   * Returns HOOPAUTH_OK, or HOOPAUTH_NETWORK, HOOPAUTH_TIMEOUT, HOOPAUTH_TLS,
   * HOOPAUTH_MALFORMED_RESPONSE (not HTTP) or HOOPAUTH_CONFIG (no retry can help); anything
   * else is HOOPAUTH_CALLBACK_FAILED.
   */
  hoopauth_status_t (*send)(void *user_data,
                            const hoopauth_transport_request_t *request,
                            hoopauth_transport_response_t *response,
                            hoopauth_failure_t *failure);
} hoopauth_transport_callbacks_t;

/**
 * Lets the host carry the HTTP of clients.
 *
 * The table is copied; its destroy is called if and only if this succeeds. Errors:
 * HOOPAUTH_INVALID_ARGUMENT. Since 0.1.
 */
hoopauth_status_t hoopauth_config_set_transport(hoopauth_config_t *config,
                                                const hoopauth_transport_callbacks_t *callbacks,
                                                hoopauth_error_t **err);

/**
 * The method, in capitals.
 *
 * len, if not NULL, gets the length in bytes. Returns text borrowed from request; NULL if the
 * handle is NULL. Since 0.1.
 */
const char *hoopauth_transport_request_method(const hoopauth_transport_request_t *request, size_t *len);

/**
 * The absolute URL.
 *
 * len, if not NULL, gets the length in bytes. Returns text borrowed from request; NULL if the
 * handle is NULL. Since 0.1.
 */
const char *hoopauth_transport_request_url(const hoopauth_transport_request_t *request, size_t *len);

/**
 * Returns the number of headers to send; 0 for NULL. Since 0.1.
 */
size_t hoopauth_transport_request_header_count(const hoopauth_transport_request_t *request);

/**
 * One of the headers to send, by its number from 0. Values may be secret.
 *
 * *header gets texts borrowed from request. Errors: HOOPAUTH_INVALID_ARGUMENT for NULL and
 * for a number that is not below the count. Since 0.1.
 */
hoopauth_status_t hoopauth_transport_request_header_at(const hoopauth_transport_request_t *request,
                                                       size_t index,
                                                       hoopauth_header_t *header,
                                                       hoopauth_error_t **err);

/**
 * The body to send; a secret. Its length is 0 if there is none. It may hold NULs, and one more
 * stands behind it.
 *
 * len, if not NULL, gets the length in bytes. Returns bytes borrowed from request; NULL if the
 * handle is NULL. Since 0.1.
 */
const char *hoopauth_transport_request_body(const hoopauth_transport_request_t *request, size_t *len);

/**
 * Returns the seconds that the whole exchange may take, the body included, counted from the
 * callback's beginning; 0 for NULL. A process that stood still meanwhile must not send once they
 * are over: others may have spent the refresh token. Since 0.1.
 */
double hoopauth_transport_request_timeout(const hoopauth_transport_request_t *request);

/**
 * The longest body to accept, in bytes after decompression; 0 for NULL. Since 0.1.
 */
size_t hoopauth_transport_request_max_body(const hoopauth_transport_request_t *request);

/**
 * Sets the HTTP status of the answer, 100 to 599. An answer without one is no answer.
 *
 * Errors: HOOPAUTH_INVALID_ARGUMENT. Since 0.1.
 */
hoopauth_status_t hoopauth_transport_response_set_status(hoopauth_transport_response_t *response,
                                                         uint16_t http_status,
                                                         hoopauth_error_t **err);

/**
 * Adds a header of the answer. Copied; bytes of its value that are not UTF-8 are replaced.
 *
 * Errors: HOOPAUTH_INVALID_ARGUMENT. Since 0.1.
 */
hoopauth_status_t hoopauth_transport_response_add_header(hoopauth_transport_response_t *response,
                                                         const char *name,
                                                         size_t name_len,
                                                         const char *value,
                                                         size_t value_len,
                                                         hoopauth_error_t **err);

/**
 * Adds a piece of the answer's body, decompressed. Copied.
 *
 * Errors: HOOPAUTH_INVALID_ARGUMENT where the body gets longer than the request allows: stop
 * then, the answer is refused. Since 0.1.
 */
hoopauth_status_t hoopauth_transport_response_append_body(hoopauth_transport_response_t *response,
                                                          const uint8_t *data,
                                                          size_t data_len,
                                                          hoopauth_error_t **err);

/**
 * Says, beside a failure, that no byte of the request can have reached the server: then it may be
 * sent again without risk. When in doubt, don't.
 *
 * Errors: for NULL. Since 0.1.
 */
hoopauth_status_t hoopauth_transport_response_set_not_sent(hoopauth_transport_response_t *response,
                                                           hoopauth_error_t **err);

/* ---- A store of the host's own ---------------------------------------*/

/**
 * Purpose of a slot of the budget: an early refresh, which leaves the last slot of a minute to
 * others.
 */
#define HOOPAUTH_PRIORITY_SOFT 0

/**
 * Purpose of a slot of the budget: a login, or a refresh that callers wait for.
 */
#define HOOPAUTH_PRIORITY_NORMAL 1

/**
 * Purpose of a slot of the budget: the repeat of a request whose answer was lost. It may exceed
 * the budget, by as much again, and by 5 at least.
 */
#define HOOPAUTH_PRIORITY_RECOVERY 2

/**
 * Place where list puts rows. It belongs to the library, and is valid until the callback
 * returns.
 */
typedef struct hoopauth_row_list_t hoopauth_row_list_t;

/**
 * Place where load puts a row. It belongs to the library, and is valid until the callback
 * returns.
 */
typedef struct hoopauth_row_t hoopauth_row_t;

/**
 * Key of a row: each app and account has one row. The texts end with a NUL and are valid until the
 * callback returns.
 */
typedef struct {
  /**
   * The app: the origin of the token endpoint and the client id.
   */
  const char *app;
  /**
   * Length of app in bytes.
   */
  size_t app_len;
  /**
   * The account, "location:<id>" or "company:<id>".
   */
  const char *account;
  /**
   * Length of account in bytes.
   */
  size_t account_len;
} hoopauth_row_key_t;

/**
 * A row to be saved: opaque bytes, and beside them the columns by which rows are listed.
 */
typedef struct {
  /**
   * UTF-8 text without NUL. Grants in it are sealed if the option store_key is set, and secret
   * if not.
   */
  const uint8_t *bytes;
  /**
   * Number of bytes.
   */
  size_t bytes_len;
  /**
   * True if there is a grant; else the row is a tombstone, which must be kept.
   */
  bool live;
  /**
   * True if a refresh is open.
   */
  bool marked;
  /**
   * Moment at which the access token ends, in milliseconds since the Unix epoch.
   */
  int64_t expires_at_ms;
  /**
   * Before this moment maintenance leaves the account alone, in milliseconds since the Unix
   * epoch.
   */
  int64_t not_before_ms;
} hoopauth_new_row_t;

/**
 * A store of the host's own. See "Callbacks" on the first page.
 *
 * load, save and list make a store. Without lease and unlease, take_slot, claim and
 * unclaim, those work within one process only: on a store that several processes share, each
 * refreshes an account by itself (the platform's window and the compare-and-set mend that in most
 * cases, not in all), each keeps a budget of its own, and a redirect could be completed once in
 * each.
 *
 * Callbacks return HOOPAUTH_OK, or HOOPAUTH_STORE, HOOPAUTH_STORE_CORRUPT,
 * HOOPAUTH_TIMEOUT, HOOPAUTH_NETWORK; anything else is HOOPAUTH_CALLBACK_FAILED.
 */
typedef struct {
  /**
   * sizeof(hoopauth_store_callbacks_t).
   */
  size_t struct_size;
  /**
   * Given to each callback.
   */
  void *user_data;
  /**
   * Called once, when the table is not used any more; may be NULL.
   */
  void (*destroy)(void *user_data);
  /**
   * Gives the row of key to hoopauth_row_set; gives nothing where there never was one.
   */
  hoopauth_status_t (*load)(void *user_data,
                            const hoopauth_row_key_t *key,
                            hoopauth_row_t *row,
                            hoopauth_failure_t *failure);
  /**
   * Compare-and-set: stores row as version expected + 1 if the stored version is expected
   * (0: no row), atomically among all who share the store; *saved tells whether it did.
   * Durable when it says true.
   */
  hoopauth_status_t (*save)(void *user_data,
                            const hoopauth_row_key_t *key,
                            uint64_t expected,
                            const hoopauth_new_row_t *row,
                            bool *saved,
                            hoopauth_failure_t *failure);
  /**
   * Gives all rows of an app to hoopauth_row_list_add, in any order.
   */
  hoopauth_status_t (*list)(void *user_data,
                            const char *app,
                            size_t app_len,
                            hoopauth_row_list_t *rows,
                            hoopauth_failure_t *failure);
  /**
   * Takes the exclusive right to refresh the account of key, among all who share the store,
   * waiting at most wait_ms milliseconds. *lease is the host's own, not NULL, and goes to
   * unlease; NULL: another holder kept it. The right must end with the process that holds it
   * and never be taken away. May be NULL, together with unlease.
   */
  hoopauth_status_t (*lease)(void *user_data,
                             const hoopauth_row_key_t *key,
                             uint64_t wait_ms,
                             void **lease,
                             hoopauth_failure_t *failure);
  /**
   * Gives a lease back.
   */
  void (*unlease)(void *user_data, void *lease);
  /**
   * Takes one token-endpoint request out of the app's budget of per_minute in any 61 seconds;
   * priority is one of the constants HOOPAUTH_PRIORITY_. *wait_ms is 0 if it was taken,
   * else how long to wait before asking again. May be NULL.
   */
  hoopauth_status_t (*take_slot)(void *user_data,
                                 const char *app,
                                 size_t app_len,
                                 uint32_t per_minute,
                                 int32_t priority,
                                 int64_t now_ms,
                                 uint64_t *wait_ms,
                                 hoopauth_failure_t *failure);
  /**
   * Remembers the 16 bytes id until until_ms; *claimed is false if it was remembered
   * already. May be NULL, together with unclaim.
   */
  hoopauth_status_t (*claim)(void *user_data,
                             const char *app,
                             size_t app_len,
                             const uint8_t *id,
                             int64_t until_ms,
                             int64_t now_ms,
                             bool *claimed,
                             hoopauth_failure_t *failure);
  /**
   * Forgets the 16 bytes id.
   */
  hoopauth_status_t (*unclaim)(void *user_data,
                               const char *app,
                               size_t app_len,
                               const uint8_t *id,
                               hoopauth_failure_t *failure);
  /**
   * *changes gets a number that changes with each saved row, whichever process saved it. May
   * be NULL: then changes of other processes are noticed when a token is due or refused. Return
   * at once: a caller with a fresh token waits for it.
   */
  hoopauth_status_t (*changes)(void *user_data, uint64_t *changes, hoopauth_failure_t *failure);
} hoopauth_store_callbacks_t;

/**
 * Lets clients keep their grants in the host's store, instead of the option store.
 *
 * The table is copied; its destroy is called if and only if this succeeds. Errors:
 * HOOPAUTH_INVALID_ARGUMENT. Since 0.1.
 */
hoopauth_status_t hoopauth_config_set_store(hoopauth_config_t *config,
                                            const hoopauth_store_callbacks_t *callbacks,
                                            hoopauth_error_t **err);

/**
 * Gives a loaded row: its version, at least 1, and exactly the bytes that were saved. Copied.
 *
 * Errors: HOOPAUTH_INVALID_ARGUMENT. Only in the callback that got row. Since 0.1.
 */
hoopauth_status_t hoopauth_row_set(hoopauth_row_t *row,
                                   uint64_t version,
                                   const uint8_t *data,
                                   size_t data_len,
                                   hoopauth_error_t **err);

/**
 * Gives one row of a list: its account, and its columns as they were last saved. Copied.
 *
 * Errors: HOOPAUTH_INVALID_ARGUMENT. Only in the callback that got rows. Since 0.1.
 */
hoopauth_status_t hoopauth_row_list_add(hoopauth_row_list_t *rows,
                                        const char *account,
                                        size_t account_len,
                                        bool live,
                                        bool marked,
                                        int64_t expires_at_ms,
                                        int64_t not_before_ms,
                                        hoopauth_error_t **err);

/* ---- Accounts --------------------------------------------------------*/

/**
 * One account of a client, looked up once: its headers cost least this way.
 *
 * Where a function takes an account, NULL means the client's default one (option
 * default_account). An account belongs to the client it was made with and keeps what it needs of
 * it. Counted: hoopauth_account_ref, hoopauth_account_free. Any thread may use it.
 */
typedef struct hoopauth_account_t hoopauth_account_t;

/**
 * The account as text, "location:<id>" or "company:<id>".
 *
 * len, if not NULL, gets the length in bytes. Returns text borrowed from account; NULL if the
 * handle is NULL. Any thread. Since 0.1.
 */
const char *hoopauth_account_name(const hoopauth_account_t *account, size_t *len);

/**
 * One more reference, to be freed like the first; returns account, NULL if the handle is NULL.
 * Any thread. Since 0.1.
 */
hoopauth_account_t *hoopauth_account_ref(const hoopauth_account_t *account);

/**
 * Gives up one reference. Does nothing for NULL. Since 0.1.
 */
void hoopauth_account_free(hoopauth_account_t *account);

/* ---- Client ----------------------------------------------------------*/

/**
 * Outcome of an import: the grant is stored.
 */
#define HOOPAUTH_IMPORT_IMPORTED 1

/**
 * Outcome of an import: nothing changed, because this account was imported or refreshed with that
 * token before.
 */
#define HOOPAUTH_IMPORT_KNOWN 2

/**
 * Outcome of an import: nothing changed, because another live grant is there and replace was
 * false.
 */
#define HOOPAUTH_IMPORT_KEPT 3

/**
 * The accounts that have a grant. The caller owns it and frees it with hoopauth_accounts_free.
 * Any thread may read it.
 */
typedef struct hoopauth_accounts_t hoopauth_accounts_t;

/**
 * Authenticates a program's requests: any number of accounts with one credential.
 *
 * Counted: hoopauth_client_ref, hoopauth_client_free. Any thread may call any of its functions
 * at any time. Getting headers of an account whose token is fresh takes no lock and does no I/O.
 * When a refresh is due, the caller's own thread does it; and every few seconds one caller looks
 * whether others changed anything in a store that they share.
 */
typedef struct hoopauth_client_t hoopauth_client_t;

/**
 * Makes a client. No I/O happens here: stores are opened and servers asked when they are first
 * needed.
 *
 * config stays the caller's. *out is the caller's to free. Errors: HOOPAUTH_CONFIG, with the
 * option's name in the message. Any thread. Since 0.1.
 */
hoopauth_status_t hoopauth_client_new(const hoopauth_config_t *config,
                                      hoopauth_client_t **out,
                                      hoopauth_error_t **err);

/**
 * Looks up an account by its text, "location:<id>" or "company:<id>". It need not be authorized
 * yet.
 *
 * *out is the caller's to free. Errors: HOOPAUTH_INVALID_ARGUMENT; HOOPAUTH_WRONG_ACCOUNT
 * where the client has a static token of another account. Any thread. Since 0.1.
 */
hoopauth_status_t hoopauth_client_account(const hoopauth_client_t *client,
                                          const char *account,
                                          size_t account_len,
                                          hoopauth_account_t **out,
                                          hoopauth_error_t **err);

/**
 * Headers for a request of account (NULL: the default one), for an HTTP method in any case.
 *
 * An expiring token is refreshed on the way, for at most as long as context allows (NULL: the
 * option timeout). *out is the caller's to free. Errors: HOOPAUTH_NO_GRANT,
 * HOOPAUTH_REAUTHORIZATION_REQUIRED, HOOPAUTH_ACCOUNT_INACTIVE, HOOPAUTH_CANCELLED,
 * HOOPAUTH_TIMEOUT, and what a refresh and the store can meet. Any thread. Since 0.1.
 */
hoopauth_status_t hoopauth_client_headers(const hoopauth_client_t *client,
                                          const hoopauth_account_t *account,
                                          const char *method,
                                          size_t method_len,
                                          const hoopauth_context_t *context,
                                          hoopauth_headers_t **out,
                                          hoopauth_error_t **err);

/**
 * Does the same as hoopauth_client_headers for an account given as text. Use it if accounts come
 * too rarely to keep their handles.
 *
 * Errors: as there, and HOOPAUTH_INVALID_ARGUMENT for text that is no account. Any thread. Since
 * 0.1.
 */
hoopauth_status_t hoopauth_client_headers_by_name(const hoopauth_client_t *client,
                                                  const char *account,
                                                  size_t account_len,
                                                  const char *method,
                                                  size_t method_len,
                                                  const hoopauth_context_t *context,
                                                  hoopauth_headers_t **out,
                                                  hoopauth_error_t **err);

/**
 * Headers as they were sent, put together again from the value of Authorization: for a host that
 * kept no headers until the answer came and now wants to report it.
 *
 * *out is the caller's to free. Errors: HOOPAUTH_INVALID_ARGUMENT. Any thread. Since 0.1.
 */
hoopauth_status_t hoopauth_client_sent_headers(const hoopauth_client_t *client,
                                               const hoopauth_account_t *account,
                                               const char *method,
                                               size_t method_len,
                                               const char *authorization,
                                               size_t authorization_len,
                                               hoopauth_headers_t **out,
                                               hoopauth_error_t **err);

/**
 * Reads the answer to a request that was sent with headers.
 *
 * Where *repeat is set, the token was refused and there is a new one: repeat the request, once,
 * with these headers, which are the caller's to free. Where it is NULL on success, the answer is
 * no matter of authentication: use it. What a refresh can't cure is a typed error. Of the body the
 * first kilobytes are enough; answer_headers may be NULL with count 0.
 *
 * Errors: HOOPAUTH_REAUTHORIZATION_REQUIRED, HOOPAUTH_INSUFFICIENT_SCOPE,
 * HOOPAUTH_WRONG_TOKEN_CLASS, HOOPAUTH_WRONG_ACCOUNT, HOOPAUTH_INVALID_PRIVATE_INTEGRATION,
 * HOOPAUTH_RATE_LIMITED, HOOPAUTH_HTTP_STATUS, and what a refresh can meet. Any thread. Since
 * 0.1.
 */
hoopauth_status_t hoopauth_client_report(const hoopauth_client_t *client,
                                         const hoopauth_headers_t *headers,
                                         uint16_t http_status,
                                         const hoopauth_header_t *answer_headers,
                                         size_t answer_header_count,
                                         const uint8_t *body,
                                         size_t body_len,
                                         const hoopauth_context_t *context,
                                         hoopauth_headers_t **repeat,
                                         hoopauth_error_t **err);

/**
 * Does the same as hoopauth_client_report for a host that also passes what it sent: the error
 * then names the scope or the class that the operation needs. path is a path below api_base or
 * the whole URL, with or without a query.
 *
 * Errors: as there. Any thread. Since 0.1.
 */
hoopauth_status_t hoopauth_client_report_request(const hoopauth_client_t *client,
                                                 const hoopauth_headers_t *headers,
                                                 const char *method,
                                                 size_t method_len,
                                                 const char *path,
                                                 size_t path_len,
                                                 uint16_t http_status,
                                                 const hoopauth_header_t *answer_headers,
                                                 size_t answer_header_count,
                                                 const uint8_t *body,
                                                 size_t body_len,
                                                 const hoopauth_context_t *context,
                                                 hoopauth_headers_t **repeat,
                                                 hoopauth_error_t **err);

/**
 * The option whose Private Integration token the platform refused, "private_integration_token" or
 * "private_integration_token_next": put another token there, or leave the option out if the other
 * one stays in use.
 *
 * len, if not NULL, gets the length in bytes. Returns static text, or NULL while none was
 * refused, and again once that token works. Any thread. Since 0.1.
 */
const char *hoopauth_client_refused_private_integration_token(const hoopauth_client_t *client, size_t *len);

/**
 * Mints the grant of location from that of its company, and stores it.
 *
 * Errors: HOOPAUTH_INVALID_ARGUMENT where one is not of its kind, HOOPAUTH_NO_GRANT for the
 * company, and those of the token endpoint. Any thread. Since 0.1.
 */
hoopauth_status_t hoopauth_client_mint(const hoopauth_client_t *client,
                                       const hoopauth_account_t *location,
                                       const hoopauth_account_t *company,
                                       const hoopauth_context_t *context,
                                       hoopauth_error_t **err);

/**
 * Imports a grant from elsewhere. *outcome, if outcome is not NULL, gets one of the constants
 * HOOPAUTH_IMPORT_.
 *
 * A grant whose refresh token this account was ever imported or refreshed with changes nothing, so
 * that a program may import its seed at every start. Another live grant is kept unless replace.
 * grant stays the caller's. Errors: HOOPAUTH_INVALID_ARGUMENT, HOOPAUTH_INVALID_STATE
 * without OAuth, and those of the store. Any thread. Since 0.1.
 */
hoopauth_status_t hoopauth_client_import(const hoopauth_client_t *client,
                                         const hoopauth_grant_t *grant,
                                         bool replace,
                                         const hoopauth_context_t *context,
                                         int32_t *outcome,
                                         hoopauth_error_t **err);

/**
 * The stored grant of an account (NULL: the default one), tokens included, for moving it
 * elsewhere.
 *
 * *out is the caller's to free. Errors: HOOPAUTH_NO_GRANT, and those of the store. Any thread.
 * Since 0.1.
 */
hoopauth_status_t hoopauth_client_export(const hoopauth_client_t *client,
                                         const hoopauth_account_t *account,
                                         const hoopauth_context_t *context,
                                         hoopauth_grant_t **out,
                                         hoopauth_error_t **err);

/**
 * Removes the grant of an account (NULL: the default one) and leaves a tombstone. *removed, if
 * removed is not NULL, tells whether there was one.
 *
 * Errors: those of the store. Any thread. Since 0.1.
 */
hoopauth_status_t hoopauth_client_remove(const hoopauth_client_t *client,
                                         const hoopauth_account_t *account,
                                         const hoopauth_context_t *context,
                                         bool *removed,
                                         hoopauth_error_t **err);

/**
 * The accounts that have a grant, sorted.
 *
 * *out is the caller's to free. Errors: those of the store. Any thread. Since 0.1.
 */
hoopauth_status_t hoopauth_client_accounts(const hoopauth_client_t *client,
                                           const hoopauth_context_t *context,
                                           hoopauth_accounts_t **out,
                                           hoopauth_error_t **err);

/**
 * Returns the number of accounts in the list; 0 for NULL. Any thread. Since 0.1.
 */
size_t hoopauth_accounts_count(const hoopauth_accounts_t *accounts);

/**
 * One account of the list, by its number from 0.
 *
 * len, if not NULL, gets the length in bytes. Returns text borrowed from accounts; NULL for
 * NULL and for a number that is not below hoopauth_accounts_count. Any thread. Since 0.1.
 */
const char *hoopauth_accounts_at(const hoopauth_accounts_t *accounts, size_t index, size_t *len);

/**
 * Frees a list of accounts. Does nothing for NULL. Since 0.1.
 */
void hoopauth_accounts_free(hoopauth_accounts_t *accounts);

/**
 * Renews the tokens of all accounts ahead of their end, within the budget, until the client's
 * clock reads until_ms (milliseconds since the Unix epoch) or context ends. Blocks.
 *
 * Living tokens come first, whichever ends first; accounts that keep failing share a tenth of the
 * budget. Any number of threads and processes may do this on one store: no token is renewed twice.
 * Where it runs, callers do not refresh early themselves. Errors: HOOPAUTH_CANCELLED,
 * HOOPAUTH_TIMEOUT when context ends; HOOPAUTH_INVALID_STATE without OAuth, after close, and
 * in a forked child. Any thread. Since 0.1.
 */
hoopauth_status_t hoopauth_client_maintain(const hoopauth_client_t *client,
                                           int64_t until_ms,
                                           const hoopauth_context_t *context,
                                           hoopauth_error_t **err);

/**
 * Saves what could not be saved yet and ends the client, for all who hold references; later calls
 * are HOOPAUTH_INVALID_STATE.
 *
 * Waits for refreshes that go on after their callers left, at most for the option timeout.
 * Errors: those of the store; what could not be saved is lost with the process then. Any thread.
 * Since 0.1.
 */
hoopauth_status_t hoopauth_client_close(const hoopauth_client_t *client, hoopauth_error_t **err);

/**
 * One more reference, to be freed like the first; returns client, NULL if the handle is NULL.
 * Any thread. Since 0.1.
 */
hoopauth_client_t *hoopauth_client_ref(const hoopauth_client_t *client);

/**
 * Gives up one reference. Does nothing for NULL. The last one waits for refreshes
 * under way, at most for the option timeout, and what could not be saved yet is tried once more.
 * Since 0.1.
 */
void hoopauth_client_free(hoopauth_client_t *client);

/* ---- API requests ----------------------------------------------------*/

/**
 * A request to the API that the library sends: with the headers of its account, and again where
 * that can help.
 *
 * The caller owns it and frees it with hoopauth_request_free; it keeps what it needs of its
 * client, and may be sent any number of times. Any thread may send it; one thread at a time may
 * change it.
 */
typedef struct hoopauth_request_t hoopauth_request_t;

/**
 * Makes a request: an HTTP method in any case, and a path below api_base, such as "/contacts/",
 * or an absolute URL on one of the configured hosts.
 *
 * Texts are copied. *out is the caller's to free. Errors: only for NULL and for text that is not
 * UTF-8; a wrong method or path is told when it is sent. Any thread. Since 0.1.
 */
hoopauth_status_t hoopauth_client_request(const hoopauth_client_t *client,
                                          const char *method,
                                          size_t method_len,
                                          const char *path,
                                          size_t path_len,
                                          hoopauth_request_t **out,
                                          hoopauth_error_t **err);

/**
 * Sets whose headers it carries, "location:<id>" or "company:<id>"; unset, those of the default
 * account. Copied.
 *
 * Errors: for NULL; a wrong one is told when it is sent. Since 0.1.
 */
hoopauth_status_t hoopauth_request_set_account(hoopauth_request_t *request,
                                               const char *account,
                                               size_t account_len,
                                               hoopauth_error_t **err);

/**
 * Adds a query parameter; it is encoded. May be called again, with the same name too. Copied.
 * Errors: for NULL. Since 0.1.
 */
hoopauth_status_t hoopauth_request_add_param(hoopauth_request_t *request,
                                             const char *name,
                                             size_t name_len,
                                             const char *value,
                                             size_t value_len,
                                             hoopauth_error_t **err);

/**
 * Adds a header. Copied. Authorization, Version, User-Agent, Host and those of the
 * connection are the library's: such a one is HOOPAUTH_INVALID_ARGUMENT when the request is
 * sent. Errors: for NULL. Since 0.1.
 */
hoopauth_status_t hoopauth_request_add_header(hoopauth_request_t *request,
                                              const char *name,
                                              size_t name_len,
                                              const char *value,
                                              size_t value_len,
                                              hoopauth_error_t **err);

/**
 * Sets the body, any bytes. Copied once, however often it is sent. Its Content-Type is
 * "application/json" for POST, PUT and PATCH unless a header of that name was added. Errors: for
 * NULL, and HOOPAUTH_INVALID_ARGUMENT for more than 512 MiB. Since 0.1.
 */
hoopauth_status_t hoopauth_request_set_body(hoopauth_request_t *request,
                                            const uint8_t *body,
                                            size_t body_len,
                                            hoopauth_error_t **err);

/**
 * Sets another Version than the option api_version. Copied. Errors: for NULL; a wrong one is
 * told when it is sent. Since 0.1.
 */
hoopauth_status_t hoopauth_request_set_version(hoopauth_request_t *request,
                                               const char *version,
                                               size_t version_len,
                                               hoopauth_error_t **err);

/**
 * Sets how many seconds it may take with all its tries and waits, instead of the option timeout.
 * Errors: HOOPAUTH_INVALID_ARGUMENT for a negative one or one that is no number. Since 0.1.
 */
hoopauth_status_t hoopauth_request_set_timeout(hoopauth_request_t *request,
                                               double timeout,
                                               hoopauth_error_t **err);

/**
 * Sets the longest body to accept in the answer, in bytes after decompression, instead of the
 * option max_response_bytes. A longer one is HOOPAUTH_MALFORMED_RESPONSE. Errors: for NULL.
 * Since 0.1.
 */
hoopauth_status_t hoopauth_request_set_max_body(hoopauth_request_t *request,
                                                size_t max_body,
                                                hoopauth_error_t **err);

/**
 * Sets whether an answer with any status is an answer, not only 2xx. A 401 that a refresh can cure
 * is cured all the same. Unset, no.
 *
 * Errors: for NULL. Since 0.1.
 */
hoopauth_status_t hoopauth_request_set_any_status(hoopauth_request_t *request,
                                                  bool any_status,
                                                  hoopauth_error_t **err);

/**
 * Sets whether sending it twice does no harm: a POST or PATCH is then tried again as a GET is.
 * Unset, it is tried again only where nothing of it was sent. Errors: for NULL. Since 0.1.
 */
hoopauth_status_t hoopauth_request_set_repeatable(hoopauth_request_t *request,
                                                  bool repeatable,
                                                  hoopauth_error_t **err);

/**
 * Sends the request, repeats it if that can help, and hands out the answer.
 *
 * An expiring token is refreshed on the way; one that is refused is refreshed and the request
 * repeated, once. Waits are obeyed, redirects of GET and HEAD followed, and the token never leaves
 * the configured hosts. A request that context ends goes on without its caller, and its answer
 * is dropped. request stays the caller's; *out is the caller's to free. Errors: those of
 * hoopauth_client_headers and hoopauth_client_report, HOOPAUTH_INVALID_ARGUMENT (nothing was
 * sent), HOOPAUTH_NETWORK, HOOPAUTH_TIMEOUT, HOOPAUTH_TLS, HOOPAUTH_MALFORMED_RESPONSE,
 * and HOOPAUTH_HTTP_STATUS for any other status than 2xx; where an answer came,
 * hoopauth_error_response has it. Any thread. Since 0.1.
 */
hoopauth_status_t hoopauth_request_send(const hoopauth_request_t *request,
                                        const hoopauth_context_t *context,
                                        hoopauth_response_t **out,
                                        hoopauth_error_t **err);

/**
 * Frees a request. Does nothing for NULL. Since 0.1.
 */
void hoopauth_request_free(hoopauth_request_t *request);

/* ---- Rate limits -----------------------------------------------------*/

/**
 * The API's limits of one account, as its last answer told them. A limit that was not told is -1.
 */
typedef struct {
  /**
   * sizeof(hoopauth_rate_limit_t), set by the caller.
   */
  size_t struct_size;
  /**
   * Requests allowed per interval.
   */
  int64_t limit;
  /**
   * Requests left in the current interval.
   */
  int64_t remaining;
  /**
   * Length of an interval in seconds.
   */
  double interval;
  /**
   * Requests allowed per day.
   */
  int64_t daily_limit;
  /**
   * Requests left today.
   */
  int64_t daily_remaining;
  /**
   * Moment at which the daily limit starts anew, in milliseconds since the Unix epoch.
   */
  int64_t daily_reset_ms;
  /**
   * Moment at which the answer came, in milliseconds since the Unix epoch.
   */
  int64_t seen_at_ms;
} hoopauth_rate_limit_t;

/**
 * The API's limits of an account (NULL: the default one), as the last answer to this client told
 * them: to a request, or reported.
 *
 * *found tells whether there was such an answer; if there was none, all members are -1. Of
 * rate_limit, struct_size must be set. No I/O. Errors: HOOPAUTH_INVALID_ARGUMENT. Any
 * thread. Since 0.1.
 */
hoopauth_status_t hoopauth_client_rate_limit(const hoopauth_client_t *client,
                                             const hoopauth_account_t *account,
                                             hoopauth_rate_limit_t *rate_limit,
                                             bool *found,
                                             hoopauth_error_t **err);

/* ---- Installed locations ---------------------------------------------*/

/**
 * The locations of a company, as the platform lists them. The caller owns it and frees it with
 * hoopauth_installed_locations_free. Any thread may read it.
 */
typedef struct hoopauth_installed_locations_t hoopauth_installed_locations_t;

/**
 * Progress of hoopauth_client_mint_all. It belongs to the library, and is valid until the
 * callback returns.
 */
typedef struct {
  /**
   * The size that this struct has in the library.
   */
  size_t struct_size;
  /**
   * The location that was just looked at, "location:<id>".
   */
  const char *account;
  /**
   * Length of the account in bytes.
   */
  size_t account_len;
  /**
   * Error of the account if it could not be minted, else NULL.
   */
  const hoopauth_error_t *error;
  /**
   * Locations whose grant was minted so far.
   */
  uint64_t minted;
  /**
   * Locations that had a live grant already.
   */
  uint64_t kept;
  /**
   * Locations that could not be minted.
   */
  uint64_t failed;
} hoopauth_mint_progress_t;

/**
 * Callbacks that are told of each location; 0 ends the minting. See "Callbacks" on the first page.
 */
typedef int32_t (*hoopauth_mint_callback_t)(void *user_data, const hoopauth_mint_progress_t *progress);

/**
 * Result of hoopauth_client_mint_all.
 */
typedef struct {
  /**
   * sizeof(hoopauth_mint_summary_t), set by the caller.
   */
  size_t struct_size;
  /**
   * Locations whose grant was minted.
   */
  uint64_t minted;
  /**
   * Locations that had a live grant already.
   */
  uint64_t kept;
  /**
   * Locations that could not be minted.
   */
  uint64_t failed;
} hoopauth_mint_summary_t;

/**
 * All locations that company (NULL: the default account) installed the app in, page by page
 * until the end.
 *
 * *out is the caller's to free. Errors: HOOPAUTH_INVALID_ARGUMENT for an account that is not a
 * company, HOOPAUTH_NO_GRANT, HOOPAUTH_INVALID_STATE without OAuth, and those of a request.
 * Any thread. Since 0.1.
 */
hoopauth_status_t hoopauth_client_installed_locations(const hoopauth_client_t *client,
                                                      const hoopauth_account_t *company,
                                                      const hoopauth_context_t *context,
                                                      hoopauth_installed_locations_t **out,
                                                      hoopauth_error_t **err);

/**
 * Returns the number of locations in the list; 0 for NULL. Any thread. Since 0.1.
 */
size_t hoopauth_installed_locations_count(const hoopauth_installed_locations_t *locations);

/**
 * One location of the list, "location:<id>", by its number from 0.
 *
 * len, if not NULL, gets the length in bytes. Returns text borrowed from locations; NULL for
 * NULL and for a number that is not below hoopauth_installed_locations_count. Any thread. Since
 * 0.1.
 */
const char *hoopauth_installed_locations_account(const hoopauth_installed_locations_t *locations,
                                                 size_t index,
                                                 size_t *len);

/**
 * The name of one location of the list, by its number from 0.
 *
 * len, if not NULL, gets the length in bytes. Returns text borrowed from locations, or NULL
 * if there is none. Any thread. Since 0.1.
 */
const char *hoopauth_installed_locations_name(const hoopauth_installed_locations_t *locations,
                                              size_t index,
                                              size_t *len);

/**
 * Returns true if the app is installed in one location of the list, by its number from 0; false
 * if there is none. Any thread. Since 0.1.
 */
bool hoopauth_installed_locations_is_installed(const hoopauth_installed_locations_t *locations, size_t index);

/**
 * Frees a list of locations. Does nothing for NULL. Since 0.1.
 */
void hoopauth_installed_locations_free(hoopauth_installed_locations_t *locations);

/**
 * Mints a grant for each location that company (NULL: the default account) installed the app in
 * and that has none. Begun again after a break, it goes on where it was.
 *
 * progress, if not NULL, is called after each location, one call at a time and never after this
 * function returned; where it returns 0, the minting ends, and that is no error. summary may be
 * NULL; else its struct_size must be set. Locations that fail are counted and the others minted
 * all the same. Errors: HOOPAUTH_INVALID_ARGUMENT for an account that is not a company,
 * HOOPAUTH_NO_GRANT, HOOPAUTH_INVALID_STATE without OAuth, and those of a request. Any thread.
 * Since 0.1.
 */
hoopauth_status_t hoopauth_client_mint_all(const hoopauth_client_t *client,
                                           const hoopauth_account_t *company,
                                           hoopauth_mint_callback_t progress,
                                           void *user_data,
                                           const hoopauth_context_t *context,
                                           hoopauth_mint_summary_t *summary,
                                           hoopauth_error_t **err);

/* ---- Operations and scopes -------------------------------------------*/

/**
 * One documented operation. The caller owns it and frees it with hoopauth_operation_free. Any
 * thread may read it.
 */
typedef struct hoopauth_operation_t hoopauth_operation_t;

/**
 * Finds the operation that a method, in any case, and a path, with or without a query, mean.
 *
 * *out is the caller's to free; NULL on success: it is not documented. No I/O. Errors: only for
 * NULL and for text that is not UTF-8. Any thread. Since 0.1.
 */
hoopauth_status_t hoopauth_operation_find(const char *method,
                                          size_t method_len,
                                          const char *path,
                                          size_t path_len,
                                          hoopauth_operation_t **out,
                                          hoopauth_error_t **err);

/**
 * The method, in capitals.
 *
 * len, if not NULL, gets the length in bytes. Returns text borrowed from operation; NULL if
 * the handle is NULL. Any thread. Since 0.1.
 */
const char *hoopauth_operation_method(const hoopauth_operation_t *operation, size_t *len);

/**
 * The path template, such as "/contacts/{contactId}".
 *
 * len, if not NULL, gets the length in bytes. Returns text borrowed from operation; NULL if
 * the handle is NULL. Any thread. Since 0.1.
 */
const char *hoopauth_operation_path(const hoopauth_operation_t *operation, size_t *len);

/**
 * The documented Version.
 *
 * len, if not NULL, gets the length in bytes. Returns text borrowed from operation, or NULL
 * if none is documented. Any thread. Since 0.1.
 */
const char *hoopauth_operation_version(const hoopauth_operation_t *operation, size_t *len);

/**
 * The scope it needs.
 *
 * len, if not NULL, gets the length in bytes. Returns text borrowed from operation, or NULL
 * if none is documented. Any thread. Since 0.1.
 */
const char *hoopauth_operation_scope(const hoopauth_operation_t *operation, size_t *len);

/**
 * Returns true if tokens of locations may call the operation, or if nothing is documented; false
 * for NULL. Any thread. Since 0.1.
 */
bool hoopauth_operation_allows_location(const hoopauth_operation_t *operation);

/**
 * Returns true if tokens of companies may call the operation, or if nothing is documented; false
 * for NULL. Any thread. Since 0.1.
 */
bool hoopauth_operation_allows_company(const hoopauth_operation_t *operation);

/**
 * Returns true if a Private Integration token may call the operation, or if nothing is documented;
 * false for NULL. Any thread. Since 0.1.
 */
bool hoopauth_operation_allows_private_integration(const hoopauth_operation_t *operation);

/**
 * Frees an operation. Does nothing for NULL. Since 0.1.
 */
void hoopauth_operation_free(hoopauth_operation_t *operation);

/**
 * The least scopes for some operations, separated by spaces, sorted, each once.
 *
 * operations are texts that end with a NUL, each as "GET /contacts/{contactId}", with a
 * template's or a real path; it may be NULL with count 0. *out is the caller's to free. No I/O.
 * Errors: HOOPAUTH_INVALID_ARGUMENT, with the one in the message that is not documented. Any
 * thread. Since 0.1.
 */
hoopauth_status_t hoopauth_scopes_for(const char *const *operations,
                                      size_t operation_count,
                                      hoopauth_text_t **out,
                                      hoopauth_error_t **err);

/**
 * A scope. Reads contacts, with their notes, tasks and appointments. Since 0.1.
 */
#define HOOPAUTH_SCOPE_CONTACTS_READONLY "contacts.readonly"

/**
 * A scope. Creates, changes and deletes contacts, with their notes, tasks, tags, followers,
 * campaigns and workflows. Since 0.1.
 */
#define HOOPAUTH_SCOPE_CONTACTS_WRITE "contacts.write"

/**
 * A scope. Reads and searches conversations; their messages need conversations/message.readonly.
 * Since 0.1.
 */
#define HOOPAUTH_SCOPE_CONVERSATIONS_READONLY "conversations.readonly"

/**
 * A scope. Creates, changes and deletes conversations; sending messages needs
 * conversations/message.write. Since 0.1.
 */
#define HOOPAUTH_SCOPE_CONVERSATIONS_WRITE "conversations.write"

/**
 * A scope. Reads calendars, their schedules and free slots; events and appointments need
 * calendars/events.readonly. Since 0.1.
 */
#define HOOPAUTH_SCOPE_CALENDARS_READONLY "calendars.readonly"

/**
 * A scope. Creates, changes and deletes calendars and their schedules; events and appointments need
 * calendars/events.write. Since 0.1.
 */
#define HOOPAUTH_SCOPE_CALENDARS_WRITE "calendars.write"

/**
 * A scope. Reads and searches opportunities, with their pipelines and lost reasons. Since 0.1.
 */
#define HOOPAUTH_SCOPE_OPPORTUNITIES_READONLY "opportunities.readonly"

/**
 * A scope. Creates, changes and deletes opportunities, with their followers and status. Since 0.1.
 */
#define HOOPAUTH_SCOPE_OPPORTUNITIES_WRITE "opportunities.write"

/* ---- Authorization ---------------------------------------------------*/

/**
 * An authorization to be asked for: what differs from the client's options. The caller owns it and
 * frees it with hoopauth_authorization_request_free. One thread at a time.
 */
typedef struct hoopauth_authorization_request_t hoopauth_authorization_request_t;

/**
 * An authorization that was begun: where to send the user, and what must be kept until the user
 * comes back, at most ten minutes, in that user's session. The caller owns it and frees it with
 * hoopauth_pending_authorization_free. Any thread may read it.
 */
typedef struct hoopauth_pending_authorization_t hoopauth_pending_authorization_t;

/**
 * Starts to ask for an authorization, with the client's redirect_uri and scopes.
 *
 * *out is the caller's to free. Errors: HOOPAUTH_INVALID_STATE without OAuth. Any thread.
 * Since 0.1.
 */
hoopauth_status_t hoopauth_client_authorization_request(const hoopauth_client_t *client,
                                                        hoopauth_authorization_request_t **out,
                                                        hoopauth_error_t **err);

/**
 * Asks for these scopes, separated by spaces, instead of the client's. Ask for the least.
 *
 * Copied. Errors: for NULL; wrong scopes are told by hoopauth_client_begin. Since 0.1.
 */
hoopauth_status_t hoopauth_authorization_request_set_scopes(hoopauth_authorization_request_t *request,
                                                            const char *scopes,
                                                            size_t scopes_len,
                                                            hoopauth_error_t **err);

/**
 * Lets the user come back to this redirect URI, registered with the app, instead of the client's.
 *
 * Copied. Errors: for NULL; a wrong URI is told by hoopauth_client_begin. Since 0.1.
 */
hoopauth_status_t hoopauth_authorization_request_set_redirect_uri(hoopauth_authorization_request_t *request,
                                                                  const char *redirect_uri,
                                                                  size_t redirect_uri_len,
                                                                  hoopauth_error_t **err);

/**
 * Sends a code challenge, method S256 (RFC 7636), if pkce is true. Off by default: HoopAI does
 * not document it.
 *
 * Errors: for NULL. Since 0.1.
 */
hoopauth_status_t hoopauth_authorization_request_set_pkce(hoopauth_authorization_request_t *request,
                                                          bool pkce,
                                                          hoopauth_error_t **err);

/**
 * Shows the login in the same window (loginWindowOpenMode=self) if the argument is true, else in
 * a new one.
 *
 * Errors: for NULL. Since 0.1.
 */
hoopauth_status_t hoopauth_authorization_request_set_login_window_self(hoopauth_authorization_request_t *request,
                                                                       bool same_window,
                                                                       hoopauth_error_t **err);

/**
 * The version of an app that is not published (version_id).
 *
 * Copied. Errors: for NULL; a wrong id is told by hoopauth_client_begin. Since 0.1.
 */
hoopauth_status_t hoopauth_authorization_request_set_version_id(hoopauth_authorization_request_t *request,
                                                                const char *version_id,
                                                                size_t version_id_len,
                                                                hoopauth_error_t **err);

/**
 * Frees a request. Does nothing for NULL. Since 0.1.
 */
void hoopauth_authorization_request_free(hoopauth_authorization_request_t *request);

/**
 * Makes the URL to send the user to. request NULL: with the client's options as they are.
 *
 * request stays the caller's and may be used again; *out is the caller's to free. Errors:
 * HOOPAUTH_CONFIG for a missing or wrong redirect URI or scope, HOOPAUTH_INVALID_STATE without
 * OAuth. Any thread. Since 0.1.
 */
hoopauth_status_t hoopauth_client_begin(const hoopauth_client_t *client,
                                        const hoopauth_authorization_request_t *request,
                                        hoopauth_pending_authorization_t **out,
                                        hoopauth_error_t **err);

/**
 * The URL to send the user to. It holds the state: don't log it. Once the authorization was
 * sealed and opened again, it asks for the client's scopes.
 *
 * len, if not NULL, gets the length in bytes. Returns text borrowed from pending; NULL if the
 * handle is NULL. Any thread. Since 0.1.
 */
const char *hoopauth_pending_authorization_url(const hoopauth_pending_authorization_t *pending, size_t *len);

/**
 * The value that ties the redirect to this request (RFC 6749, 10.12), by which a host with several
 * finds the right one.
 *
 * len, if not NULL, gets the length in bytes. Returns text borrowed from pending; NULL if the
 * handle is NULL. Any thread. Since 0.1.
 */
const char *hoopauth_pending_authorization_state(const hoopauth_pending_authorization_t *pending,
                                                 size_t *len);

/**
 * Returns the moment from which the redirect is refused, in milliseconds since the Unix epoch; 0
 * for NULL. Any thread. Since 0.1.
 */
int64_t hoopauth_pending_authorization_expires_at_ms(const hoopauth_pending_authorization_t *pending);

/**
 * Frees a pending authorization and wipes it. Does nothing for NULL. Since 0.1.
 */
void hoopauth_pending_authorization_free(hoopauth_pending_authorization_t *pending);

/**
 * Seals a pending authorization as text, for a cookie or another process of the same app: some
 * hundred characters, whatever the number of scopes.
 *
 * It holds what completing needs: state, redirect URI, PKCE verifier and end. Where the answer to
 * the code names no scopes, those of the option scopes then count as granted.
 *
 * *out is the caller's to free. Errors: HOOPAUTH_INVALID_STATE without OAuth,
 * HOOPAUTH_STORE_KEY. Any thread. Since 0.1.
 */
hoopauth_status_t hoopauth_client_seal_pending(const hoopauth_client_t *client,
                                               const hoopauth_pending_authorization_t *pending,
                                               hoopauth_text_t **out,
                                               hoopauth_error_t **err);

/**
 * Opens what hoopauth_client_seal_pending made.
 *
 * *out is the caller's to free. Errors: HOOPAUTH_STATE_MISMATCH if it was changed or belongs
 * to another app or key. Any thread. Since 0.1.
 */
hoopauth_status_t hoopauth_client_open_pending(const hoopauth_client_t *client,
                                               const char *sealed,
                                               size_t sealed_len,
                                               hoopauth_pending_authorization_t **out,
                                               hoopauth_error_t **err);

/**
 * Completes an authorization with the redirect that the user came back by: the whole URL, or its
 * query.
 *
 * Checks state, once only, exchanges the code and stores the grant. *out, the caller's to
 * free, is the account that was authorized. Errors: HOOPAUTH_STATE_MISMATCH,
 * HOOPAUTH_AUTHORIZATION_DENIED, HOOPAUTH_WRONG_TOKEN_CLASS, HOOPAUTH_INVALID_ARGUMENT for
 * text that is not a redirect, and those of the token endpoint. Any thread. Since 0.1.
 */
hoopauth_status_t hoopauth_client_complete(const hoopauth_client_t *client,
                                           const hoopauth_pending_authorization_t *pending,
                                           const char *redirect,
                                           size_t redirect_len,
                                           const hoopauth_context_t *context,
                                           hoopauth_account_t **out,
                                           hoopauth_error_t **err);

/**
 * Completes an installation that began on the marketplace page and so carries no state.
 *
 * Without state anybody can make a user's browser bring a code of a foreign account. So the
 * caller says for which account the code must be: anything else is HOOPAUTH_WRONG_ACCOUNT and is
 * not stored. *out, the caller's to free, is that account. Errors: as for
 * hoopauth_client_complete. Any thread. Since 0.1.
 */
hoopauth_status_t hoopauth_client_complete_unsolicited(const hoopauth_client_t *client,
                                                       const char *code,
                                                       size_t code_len,
                                                       const hoopauth_account_t *expected,
                                                       const hoopauth_context_t *context,
                                                       hoopauth_account_t **out,
                                                       hoopauth_error_t **err);

/* ---- Health ----------------------------------------------------------*/

/**
 * State of an account's grant. The caller owns it and frees it with hoopauth_health_free. Any
 * thread may read it.
 */
typedef struct hoopauth_health_t hoopauth_health_t;

/**
 * Reads the state of an account's grant (NULL: the default account).
 *
 * *out is the caller's to free. Errors: HOOPAUTH_NO_GRANT, and those of the store. Any thread.
 * Since 0.1.
 */
hoopauth_status_t hoopauth_client_health(const hoopauth_client_t *client,
                                         const hoopauth_account_t *account,
                                         const hoopauth_context_t *context,
                                         hoopauth_health_t **out,
                                         hoopauth_error_t **err);

/**
 * Returns the moment at which the access token ends, in milliseconds since the Unix epoch; 0 for
 * NULL. Any thread. Since 0.1.
 */
int64_t hoopauth_health_expires_at_ms(const hoopauth_health_t *health);

/**
 * Returns the moment at which the token pair was requested or imported, in milliseconds since the
 * Unix epoch; 0 for NULL. Any thread. Since 0.1.
 */
int64_t hoopauth_health_refreshed_at_ms(const hoopauth_health_t *health);

/**
 * Returns the moment at which the user authorized the grant, in milliseconds since the Unix epoch;
 * 0 for NULL. Any thread. Since 0.1.
 */
int64_t hoopauth_health_authorized_at_ms(const hoopauth_health_t *health);

/**
 * The last failure since then.
 *
 * len, if not NULL, gets the length in bytes. Returns text borrowed from health, or NULL if
 * there is none. Any thread. Since 0.1.
 */
const char *hoopauth_health_last_error(const hoopauth_health_t *health, size_t *len);

/**
 * Returns true if HoopAI refused the refresh token and only the user can help; false for NULL. Any
 * thread. Since 0.1.
 */
bool hoopauth_health_needs_reauthorization(const hoopauth_health_t *health);

/**
 * Returns true if the current token pair is held in memory because the store failed; false for
 * NULL. Any thread. Since 0.1.
 */
bool hoopauth_health_is_unsaved(const hoopauth_health_t *health);

/**
 * Days until the refresh token ends if nobody uses it (it lives one year); -1 without a refresh
 * token, and for NULL. Any thread. Since 0.1.
 */
int64_t hoopauth_health_idle_days_left(const hoopauth_health_t *health);

/**
 * The scopes, separated by spaces.
 *
 * len, if not NULL, gets the length in bytes. Returns text borrowed from health; NULL if the
 * handle is NULL. Any thread. Since 0.1.
 */
const char *hoopauth_health_scopes(const hoopauth_health_t *health, size_t *len);

/**
 * Frees a health. Does nothing for NULL. Since 0.1.
 */
void hoopauth_health_free(hoopauth_health_t *health);

/* ---- Maintenance -----------------------------------------------------*/

/**
 * Maintenance on a thread of the library's own. The caller owns it; hoopauth_maintenance_free
 * ends it.
 */
typedef struct hoopauth_maintenance_t hoopauth_maintenance_t;

/**
 * Does the same as hoopauth_client_maintain on a thread of its own, until the handle is freed or
 * the client closed. Failures are logged.
 *
 * *out is the caller's to free. Errors: HOOPAUTH_INVALID_STATE without OAuth, after close, and
 * in a forked child. Any thread. Since 0.1.
 */
hoopauth_status_t hoopauth_client_maintain_in_background(const hoopauth_client_t *client,
                                                         hoopauth_maintenance_t **out,
                                                         hoopauth_error_t **err);

/**
 * Ends the maintenance and waits for the refresh under way; does nothing if maintenance is NULL.
 * In a callback on maintenance's own thread nothing is waited for: the thread ends by itself. Any
 * thread. Since 0.1.
 */
void hoopauth_maintenance_free(hoopauth_maintenance_t *maintenance);

/* ---- What a verifier of webhooks is made of --------------------------*/

/**
 * Configuration of a verifier of webhooks: options by name, and keys beside the platform's own.
 *
 * The caller owns it and frees it with hoopauth_webhook_config_free; verifiers keep what they
 * need of it. One thread at a time.
 */
typedef struct hoopauth_webhook_config_t hoopauth_webhook_config_t;

/**
 * Makes an empty configuration: the platform's Ed25519 key alone.
 *
 * *out is the caller's to free. Errors: only for NULL. Any thread. Since 0.1.
 */
hoopauth_status_t hoopauth_webhook_config_new(hoopauth_webhook_config_t **out, hoopauth_error_t **err);

/**
 * Sets an option by its name. Every option, its meaning, unit and limits stand in docs/options.md;
 * the last value wins.
 *
 * Values are text, as for hoopauth_config_set. Copied. Errors: HOOPAUTH_INVALID_ARGUMENT; an
 * unknown name or a wrong value is told when a verifier is made. Since 0.1.
 */
hoopauth_status_t hoopauth_webhook_config_set(hoopauth_webhook_config_t *config,
                                              const char *name,
                                              size_t name_len,
                                              const char *value,
                                              size_t value_len,
                                              hoopauth_error_t **err);

/**
 * Adds a key that webhooks may be signed with, of the scheme "ed25519", "rsa-sha256" or
 * "hmac-sha256".
 *
 * A public key is PEM, or SPKI DER or (Ed25519) the 32 raw bytes as base64 or hex; an HMAC secret
 * is taken as it is and has at least 16 bytes. label is for people: a verified delivery tells
 * it. The key counts from not_before_ms until not_after_ms, in milliseconds since the Unix
 * epoch; 0 where there is no such limit. Copied. Errors: HOOPAUTH_CONFIG for a wrong scheme or
 * key. Since 0.1.
 */
hoopauth_status_t hoopauth_webhook_config_add_key(hoopauth_webhook_config_t *config,
                                                  const char *scheme,
                                                  size_t scheme_len,
                                                  const char *label,
                                                  size_t label_len,
                                                  const char *key,
                                                  size_t key_len,
                                                  int64_t not_before_ms,
                                                  int64_t not_after_ms,
                                                  hoopauth_error_t **err);

/**
 * Frees a configuration and wipes it. Does nothing for NULL. Verifiers made of it go
 * on. Since 0.1.
 */
void hoopauth_webhook_config_free(hoopauth_webhook_config_t *config);

/* ---- Verified webhooks -----------------------------------------------*/

/**
 * Outcome of hoopauth_client_apply: nothing changed, because the event says nothing about
 * grants, or nothing new.
 */
#define HOOPAUTH_APPLIED_NOTHING 1

/**
 * Outcome of hoopauth_client_apply: a location's grant was minted.
 */
#define HOOPAUTH_APPLIED_MINTED 2

/**
 * Outcome of hoopauth_client_apply: the company's grant is not here yet; the location's is
 * minted once it is.
 */
#define HOOPAUTH_APPLIED_REMEMBERED 3

/**
 * Outcome of hoopauth_client_apply: grants were removed.
 */
#define HOOPAUTH_APPLIED_REMOVED 4

/**
 * Outcome of hoopauth_client_apply: nothing changed, because the UNINSTALL is older than the
 * grant's authorization.
 */
#define HOOPAUTH_APPLIED_OUTDATED 5

/**
 * A verified webhook, claimed by this process: its content, and its state.
 *
 * The caller owns it and frees it with hoopauth_webhook_delivery_free. What comes out of it
 * lives as long as it does. Any thread may use it.
 */
typedef struct hoopauth_webhook_delivery_t hoopauth_webhook_delivery_t;

/**
 * The event's type, such as "ContactCreate"; unknown ones are passed on. Empty where the event has
 * none, as those of invoices, products and records.
 *
 * len, if not NULL, gets the length in bytes. Returns text borrowed from delivery; NULL if the
 * handle is NULL. Any thread. Since 0.1.
 */
const char *hoopauth_webhook_delivery_type(const hoopauth_webhook_delivery_t *delivery, size_t *len);

/**
 * The event's webhookId, or a hash of the body if there is none: the same for each try of the
 * platform.
 *
 * len, if not NULL, gets the length in bytes. Returns text borrowed from delivery; NULL if the
 * handle is NULL. Any thread. Since 0.1.
 */
const char *hoopauth_webhook_delivery_id(const hoopauth_webhook_delivery_t *delivery, size_t *len);

/**
 * Returns true if the event says when it happened, in a form that can be read; false for NULL.
 * *timestamp_ms, if timestamp_ms is not NULL, gets it, in milliseconds since the Unix epoch; 0
 * if there is none. Any thread. Since 0.1.
 */
bool hoopauth_webhook_delivery_timestamp(const hoopauth_webhook_delivery_t *delivery, int64_t *timestamp_ms);

/**
 * The location it is about, else the company, such as "location:ve9EPM428h8vShlRW1KT".
 *
 * len, if not NULL, gets the length in bytes. Returns text borrowed from delivery, or NULL
 * if there is none. Any thread. Since 0.1.
 */
const char *hoopauth_webhook_delivery_account(const hoopauth_webhook_delivery_t *delivery, size_t *len);

/**
 * The event's appId.
 *
 * len, if not NULL, gets the length in bytes. Returns text borrowed from delivery, or NULL
 * if there is none. Any thread. Since 0.1.
 */
const char *hoopauth_webhook_delivery_app_id(const hoopauth_webhook_delivery_t *delivery, size_t *len);

/**
 * The label of the key that verified it.
 *
 * len, if not NULL, gets the length in bytes. Returns text borrowed from delivery; NULL if the
 * handle is NULL. Any thread. Since 0.1.
 */
const char *hoopauth_webhook_delivery_key(const hoopauth_webhook_delivery_t *delivery, size_t *len);

/**
 * The body, byte for byte; a NUL stands behind it.
 *
 * len, if not NULL, gets the length in bytes. Returns bytes borrowed from delivery; NULL if
 * the handle is NULL. Any thread. Since 0.1.
 */
const char *hoopauth_webhook_delivery_body(const hoopauth_webhook_delivery_t *delivery, size_t *len);

/**
 * The body as JSON text that every parser takes: without a byte order mark, half an emoji (as
 * JavaScript escapes one that was cut) replaced by U+FFFD, a number beyond all floating-point
 * numbers as text. At most 512 levels deep; of a member that is named twice the last one counts.
 *
 * len, if not NULL, gets the length in bytes. Returns text borrowed from delivery; NULL if the
 * handle is NULL. Any thread. Since 0.1.
 */
const char *hoopauth_webhook_delivery_json(const hoopauth_webhook_delivery_t *delivery, size_t *len);

/**
 * Says that it was handled: from now on the same webhook is HOOPAUTH_WEBHOOK_REPLAYED.
 *
 * It waits for the client's store at most: context, or NULL, says how long. Errors:
 * HOOPAUTH_INVALID_STATE after a release, and those of the store: it is still claimed then, and
 * may be confirmed again. Any thread. Since 0.1.
 */
hoopauth_status_t hoopauth_webhook_delivery_confirm(const hoopauth_webhook_delivery_t *delivery,
                                                    const hoopauth_context_t *context,
                                                    hoopauth_error_t **err);

/**
 * Says that it was not handled: the next try of the platform is accepted. Answer 429, so that
 * there is one.
 *
 * It waits for the client's store at most: context, or NULL, says how long. Errors:
 * HOOPAUTH_INVALID_STATE after it was confirmed, and those of the store: the claim then ends by
 * itself. Any thread. Since 0.1.
 */
hoopauth_status_t hoopauth_webhook_delivery_release(const hoopauth_webhook_delivery_t *delivery,
                                                    const hoopauth_context_t *context,
                                                    hoopauth_error_t **err);

/**
 * Frees a webhook, and releases it unless it was confirmed. Does nothing if delivery is NULL.
 * Since 0.1.
 */
void hoopauth_webhook_delivery_free(hoopauth_webhook_delivery_t *delivery);

/**
 * Does what a verified INSTALL or UNINSTALL means for the grants of this client. *applied, if
 * applied is not NULL, gets one of the constants HOOPAUTH_APPLIED_; unknown ones may come.
 * Doing it again changes nothing.
 *
 * UNINSTALL removes nothing that the user authorized anew since; both are dated by the platform's
 * clock, so that this computer's need not be right. It confirms nothing:
 * hoopauth_webhook_delivery_confirm does. Errors: HOOPAUTH_INVALID_STATE without OAuth, those
 * of hoopauth_client_mint and of the store. Any thread. Since 0.1.
 */
hoopauth_status_t hoopauth_client_apply(const hoopauth_client_t *client,
                                        const hoopauth_webhook_delivery_t *delivery,
                                        const hoopauth_context_t *context,
                                        int32_t *applied,
                                        hoopauth_error_t **err);

/**
 * The name of a constant HOOPAUTH_APPLIED_, such as "minted"; "unknown" for a number that this
 * version does not know.
 *
 * Returns static text; never NULL. Any thread. Since 0.1.
 */
const char *hoopauth_applied_name(int32_t applied);

/* ---- Verifying webhooks ----------------------------------------------*/

/**
 * Verifies webhooks: signature, event, app, age, and that it was not handled before.
 *
 * Counted: hoopauth_webhook_verifier_ref, hoopauth_webhook_verifier_free; it may outlive its
 * client. Any thread may use it at any time. Make it once and keep it: without a client's store,
 * it is what remembers the webhooks that were handled.
 */
typedef struct hoopauth_webhook_verifier_t hoopauth_webhook_verifier_t;

/**
 * Makes a verifier for the app of client: its id comes from the option client_id, and what was
 * handled is remembered in the client's store, by all who share that (of a client without OAuth,
 * in this process). Without a client (NULL) it is remembered in this process, the option app_id
 * or any_app must be set, and there are no grants that could tell whose an event is that names
 * no app.
 *
 * No I/O happens here. config stays the caller's. *out is the caller's to free. Errors:
 * HOOPAUTH_CONFIG, with the option's name in the message. Any thread. Since 0.1.
 */
hoopauth_status_t hoopauth_webhook_verifier_new(const hoopauth_client_t *client,
                                                const hoopauth_webhook_config_t *config,
                                                hoopauth_webhook_verifier_t **out,
                                                hoopauth_error_t **err);

/**
 * Verifies a webhook: all headers of the request, in any order, names in any case, and the body as
 * it came, byte for byte.
 *
 * A delivery that it hands out is claimed: until it is confirmed, released or freed, the same
 * webhook is refused, here and by all who share the store. headers may be NULL with count 0. It
 * waits for the client's store at most: context, or NULL, says how long; what is left is not
 * claimed, or released. *out is the caller's to free.
 *
 * The platform signs the events of all apps with one key. An event that names another app is
 * foreign. One that names no app is accepted if the client has a grant for its account or for its
 * company, or if a shared secret signed it. The option any_app accepts both. INSTALL and
 * UNINSTALL must name this app.
 *
 * The platform repeats only webhooks that were answered with 429, at least under one of its
 * documented policies: answer that to whatever you can't handle now, not 5xx. Errors:
 * HOOPAUTH_WEBHOOK_REPLAYED and HOOPAUTH_WEBHOOK_FOREIGN (answer 200, do nothing),
 * HOOPAUTH_SIGNATURE_MISSING and HOOPAUTH_SIGNATURE_INVALID (401),
 * HOOPAUTH_WEBHOOK_MALFORMED and HOOPAUTH_WEBHOOK_STALE (400), HOOPAUTH_LEASE_TIMEOUT while
 * another worker handles it (429), and those of the store (429). Any thread. Since 0.1.
 */
hoopauth_status_t hoopauth_webhook_verifier_verify(const hoopauth_webhook_verifier_t *verifier,
                                                   const hoopauth_header_t *headers,
                                                   size_t header_count,
                                                   const uint8_t *body,
                                                   size_t body_len,
                                                   const hoopauth_context_t *context,
                                                   hoopauth_webhook_delivery_t **out,
                                                   hoopauth_error_t **err);

/**
 * Verifies only the signature, and hands out the label of the key that made it. Nothing is
 * claimed: you check replays, age and app yourself.
 *
 * *label is the caller's to free. Errors: HOOPAUTH_SIGNATURE_MISSING,
 * HOOPAUTH_SIGNATURE_INVALID. Any thread. Since 0.1.
 */
hoopauth_status_t hoopauth_webhook_verifier_verify_signature(const hoopauth_webhook_verifier_t *verifier,
                                                             const hoopauth_header_t *headers,
                                                             size_t header_count,
                                                             const uint8_t *body,
                                                             size_t body_len,
                                                             hoopauth_text_t **label,
                                                             hoopauth_error_t **err);

/**
 * One more reference, to be freed like the first; returns verifier, NULL if the handle is NULL.
 * Any thread. Since 0.1.
 */
hoopauth_webhook_verifier_t *hoopauth_webhook_verifier_ref(const hoopauth_webhook_verifier_t *verifier);

/**
 * Gives up one reference. Does nothing for NULL. Deliveries that it verified go on.
 * Since 0.1.
 */
void hoopauth_webhook_verifier_free(hoopauth_webhook_verifier_t *verifier);

#ifdef __cplusplus
} /* extern "C" */
#endif

#endif /* HOOPAUTH_H */
