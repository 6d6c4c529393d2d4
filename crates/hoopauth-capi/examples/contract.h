/*
 * hoopauth @VERSION@ - authentication for programs that talk to the HoopAI platform.
 *
 * Made by cbindgen from crates/hoopauth-capi; `make header` writes it anew. MIT OR Apache-2.0.
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
#define HOOPAUTH_VERSION "@VERSION@"

/* Length of a text that ends with its NUL. */
#define HOOPAUTH_NUL_TERMINATED SIZE_MAX
