/*
 * hoopauth @VERSION@ - authentication for programs that talk to the HoopAI platform.
 *
 * Made by cbindgen from crates/hoopauth-capi; `make generate` writes it anew. MIT OR Apache-2.0.
 *
 * THE CONTRACT
 *
 * Names      Everything is called hoopauth_<noun>_<verb>; types are opaque and end in _t. Functions that act for a client begin with
 *            hoopauth_client_.
 *
 * Status     Every function that can fail, constructors too, returns a hoopauth_status_t: HOOPAUTH_OK (0) or a code. Codes are
 *            constants, never an enum: more may come, and an unknown one means failure. In-parameters stand first, then the
 *            out-parameter, last an optional hoopauth_error_t **err (NULL: not wanted), which tells more. *out and *err are NULL from
 *            the start of each call, so what is not NULL afterwards is yours.
 *
 * Text       In: UTF-8, a pointer and a length in bytes; the length HOOPAUTH_NUL_TERMINATED means 'up to the NUL'; NULL with length 0
 *            is empty text. Texts are copied. Out: borrowed from the handle it was asked of, NUL-terminated, valid until that handle
 *            is changed or freed; its length goes to an optional size_t. Bodies are bytes: they may hold NULs, and one more stands
 *            behind them.
 *
 * Ownership  Only handles are freed, each by its own _free, which takes NULL. Handles with a _ref are counted: each reference is freed
 *            on its own. No memory of yours is ever freed by the library, none of the library's by you.
 *
 * Threads    Functions that take a const handle may be called from any number of threads at once; others need the handle for
 *            themselves. A handle must not be freed while another thread uses it; take a _ref for that thread. A callback may free
 *            the references that its own call began with: the library holds what it needs until the call ends. The library
 *            starts threads for maintenance, for calls with a context (calls for the headers of one account share one; of those
 *            that were left at most 64 go on) and, briefly, to look up names and to finish refreshes that a crash interrupted.
 *
 * Waiting    Functions that may wait take a hoopauth_context_t, by which another thread can end the wait; NULL: none, the option
 *            `timeout` holds. Time spans are seconds as double, moments are milliseconds since the Unix epoch as int64_t.
 *
 * Refresh    A failed refresh is noted in the store. Until the noted time each caller, of every process, gets the account's token while
 *            that lives, else the same error at once, with the time that is left in hoopauth_error_retry_after. A login, an import or
 *            a refresh that succeeds ends it; for a wrong client_id, client_secret or token_url so does their correction.
 *            HOOPAUTH_REAUTHORIZATION_REQUIRED has no such time: only the user can help. README.md lists the times.
 *
 * Structs    What the library fills in has `struct_size` first: set it to sizeof the struct. Of a later version's struct, what this
 *            library does not know stays as it is.
 *
 * NULL       A NULL where a handle or text is needed is HOOPAUTH_INVALID_ARGUMENT, never a crash. Accessors of a NULL handle return
 *            nothing (NULL, 0, false). Where a function takes an account, NULL means the client's default one.
 *
 * Callbacks  Structs of functions: `struct_size` is sizeof the struct (zero the struct first, so that members of later versions are
 *            zero), `user_data` comes back as the first argument, `destroy` is called once when nothing uses the table any more, and
 *            not at all if the registration failed. Tables are copied. Callbacks come from any thread, several at once, with no lock
 *            of the library's held but the account's lease. They must not throw or longjmp through the library. A call into the
 *            library's clients from within a callback is HOOPAUTH_INVALID_STATE; only headers that are cached may be handed out there.
 *            Arguments of a callback are valid until it returns. Green threads (fibers) are not told apart: one that runs while another
 *            one on its thread is in a callback counts as inside it.
 *
 * Fork       A forked child makes its own client, and need not free what its parent made. Of the parent's client, it gets the
 *            headers that were cached at the fork, by account and by name, with or without a context, until their token ends. They
 *            are not refreshed there, and changes in the store are not seen; everything else is HOOPAUTH_INVALID_STATE.
 *
 * Secrets    Error messages, log records and names hold no secret. Tokens come out of the functions that say so, and nowhere else.
 *            What the library holds is wiped when it is freed.
 *
 * Versions   A program compiled against this header runs on every library with the same HOOPAUTH_ABI_VERSION (see
 *            hoopauth_abi_version) that is not older. Each declaration says since when it is there.
 */
#ifndef HOOPAUTH_H
#define HOOPAUTH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The version of this header, as text; hoopauth_version() is that of the library. */
#define HOOPAUTH_VERSION "@VERSION@"

/* As the length of a text: up to its NUL. */
#define HOOPAUTH_NUL_TERMINATED SIZE_MAX
