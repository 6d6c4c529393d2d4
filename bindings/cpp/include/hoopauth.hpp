// hoopauth for C++17 and later: the handles of hoopauth.h as move-only objects. Header-only. MIT OR
// Apache-2.0.
//
// Handles    Each noun of hoopauth.h is a class that owns one handle and frees it. The classes move
//            and do not copy. client, account, context and webhook_verifier, which the library
//            counts, have share(). Only destroy or assign to a moved-from object; a call on it
//            fails with invalid_argument.
//
// Text       Input is std::string_view. Output is std::string_view, borrowed from the object that
//            you asked and valid until that object is changed or destroyed; it is std::optional if
//            there may be no text.
//
// Time       Spans are std::chrono durations. Moments are hoopauth::moment: system_clock in
//            milliseconds.
//
// Errors     Each function that can fail exists twice. try_<name> returns a result<T>. <name>
//            throws the same error as the class of its code (hoopauth::errors::no_grant, ...); each
//            of these derives from hoopauth::error. With -fno-exceptions only the try_ functions
//            exist, and constructors that can fail are try_make.
//
// Threads    Any number of threads may call const member functions at once; other functions need
//            the object for themselves. Do not destroy or move an object while another thread uses
//            it: give that thread its own by share().
//
// Callbacks  store, transport, clock, log_sink and change_hook are classes to derive from. The
//            library calls them from any thread, several at once. It destroys each object exactly
//            once: when nothing uses it any more, or at once if it was refused. An exception of a
//            callback does not pass through the library: a hoopauth::error keeps its code if the
//            callback may use that code, and any other exception is callback_failed with the text
//            of what(). A call of a client from within a callback is invalid_state.
//
// Bytes      Bodies are std::string_view, too: any bytes, which may be NUL.
//
// Secrets    Tokens come out of headers::authorization, the grant and the transport's request, and
//            out of nothing else.
#ifndef HOOPAUTH_HPP
#define HOOPAUTH_HPP

#include <hoopauth.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <functional>
#include <iterator>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <tuple>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#if defined(__cpp_exceptions) || defined(_CPPUNWIND)
/// 1 where the throwing functions are there, 0 under -fno-exceptions.
#define HOOPAUTH_EXCEPTIONS 1
// Objects compiled in both ways may meet in one program: each way has names of its own for the
// linker.
#define HOOPAUTH_FORM_ throwing
#else
#define HOOPAUTH_EXCEPTIONS 0
#define HOOPAUTH_FORM_ not_throwing
#endif

/// hoopauth: authentication for programs that talk to the HoopAI platform.
namespace hoopauth {
inline namespace HOOPAUTH_FORM_ {

/// Lists every code: the name in C++, then in C.
// BEGIN generated: codes
#define HOOPAUTH_CODES_(X)                                      \
    X(invalid_argument, INVALID_ARGUMENT)                       \
    X(invalid_state, INVALID_STATE)                             \
    X(cancelled, CANCELLED)                                     \
    X(config, CONFIG)                                           \
    X(network, NETWORK)                                         \
    X(timeout, TIMEOUT)                                         \
    X(tls, TLS)                                                 \
    X(reauthorization_required, REAUTHORIZATION_REQUIRED)       \
    X(no_grant, NO_GRANT)                                       \
    X(state_mismatch, STATE_MISMATCH)                           \
    X(authorization_denied, AUTHORIZATION_DENIED)               \
    X(token_request_rejected, TOKEN_REQUEST_REJECTED)           \
    X(account_inactive, ACCOUNT_INACTIVE)                       \
    X(malformed_response, MALFORMED_RESPONSE)                   \
    X(rate_limited, RATE_LIMITED)                               \
    X(insufficient_scope, INSUFFICIENT_SCOPE)                   \
    X(wrong_token_class, WRONG_TOKEN_CLASS)                     \
    X(wrong_account, WRONG_ACCOUNT)                             \
    X(invalid_private_integration, INVALID_PRIVATE_INTEGRATION) \
    X(http_status, HTTP_STATUS)                                 \
    X(store, STORE)                                             \
    X(lease_timeout, LEASE_TIMEOUT)                             \
    X(store_key, STORE_KEY)                                     \
    X(store_corrupt, STORE_CORRUPT)                             \
    X(signature_missing, SIGNATURE_MISSING)                     \
    X(signature_invalid, SIGNATURE_INVALID)                     \
    X(webhook_stale, WEBHOOK_STALE)                             \
    X(webhook_replayed, WEBHOOK_REPLAYED)                       \
    X(webhook_malformed, WEBHOOK_MALFORMED)                     \
    X(webhook_foreign, WEBHOOK_FOREIGN)                         \
    X(panic, PANIC)                                             \
    X(internal, INTERNAL)                                       \
    X(callback_failed, CALLBACK_FAILED)
// END generated

/// Code of a failed call; the same numbers in every language. A later library may give others:
/// treat those as failures too.
enum class code : hoopauth_status_t {
#define HOOPAUTH_CODE_(name, NAME) name = HOOPAUTH_##NAME,
    HOOPAUTH_CODES_(HOOPAUTH_CODE_)
#undef HOOPAUTH_CODE_
};

/// The name of a code, such as "NO_GRANT"; "UNKNOWN" for a number that the library does not know.
inline std::string_view name(code code) noexcept {
    return hoopauth_status_name(static_cast<hoopauth_status_t>(code));
}

/// The version of the library, such as "0.1.0".
inline std::string_view version() noexcept { return hoopauth_version(); }

/// The version of the library's ABI; a program compiled with another HOOPAUTH_ABI_VERSION must not
/// use it.
inline std::uint32_t abi_version() noexcept { return hoopauth_abi_version(); }

/// A moment, in milliseconds since the Unix epoch.
using moment = std::chrono::time_point<std::chrono::system_clock, std::chrono::milliseconds>;

/// A span of time in seconds, with fractions.
using seconds = std::chrono::duration<double>;

/// Parts of the wrapper; not for programs.
namespace detail {

template <class T, void (*Free)(T*)>
struct deleter {
    void operator()(T* handle) const noexcept { Free(handle); }
};

template <class T, void (*Free)(T*)>
using handle = std::unique_ptr<T, deleter<T, Free>>;

inline moment at(std::int64_t ms) noexcept { return moment(std::chrono::milliseconds(ms)); }

// A span from C, cut to what chrono can hold.
inline std::chrono::milliseconds span(std::uint64_t ms) noexcept {
    const auto longest = static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max());
    return std::chrono::milliseconds(static_cast<std::int64_t>(ms < longest ? ms : longest));
}

inline std::int64_t ms(moment moment) noexcept { return moment.time_since_epoch().count(); }

// A call with its length out: text that is always there.
template <class T>
std::string_view view(const char* (*get)(const T*, std::size_t*), const T* handle) noexcept {
    std::size_t len = 0;
    const char* text = get(handle, &len);
    return text ? std::string_view(text, len) : std::string_view();
}

// The same, where there may be none.
template <class T>
std::optional<std::string_view> view_some(const char* (*get)(const T*, std::size_t*),
                                          const T* handle) noexcept {
    std::size_t len = 0;
    const char* text = get(handle, &len);
    return text ? std::optional<std::string_view>(std::string_view(text, len)) : std::nullopt;
}

inline const std::uint8_t* bytes(std::string_view text) noexcept {
    return reinterpret_cast<const std::uint8_t*>(text.data());
}

inline std::string_view chars(const std::uint8_t* bytes, std::size_t len) noexcept {
    return {reinterpret_cast<const char*>(bytes), len};
}

// Iterates what has size() and operator[].
template <class List>
class iterator {
public:
    using iterator_category = std::input_iterator_tag;
    using value_type = decltype(std::declval<const List&>()[0]);
    using difference_type = std::ptrdiff_t;
    using pointer = void;
    using reference = value_type;

    iterator(const List& list, std::size_t index) noexcept : list_(&list), index_(index) {}
    value_type operator*() const noexcept { return (*list_)[index_]; }
    iterator& operator++() noexcept { return ++index_, *this; }
    iterator operator++(int) noexcept { return {*list_, index_++}; }
    bool operator==(const iterator& other) const noexcept { return index_ == other.index_; }
    bool operator!=(const iterator& other) const noexcept { return index_ != other.index_; }

private:
    const List* list_;
    std::size_t index_;
};

}  // namespace detail

/// A header's name and value, borrowed.
struct header {
    /// The name.
    std::string_view name;
    /// The value; it may be secret.
    std::string_view value;
};

/// The answer to an API request, borrowed: good as long as the response or the error that it came
/// from. Any thread may read it.
class response_view {
public:
    /// Borrows a handle.
    explicit response_view(const hoopauth_response_t* raw) noexcept : raw_(raw) {}

    /// The HTTP status.
    std::uint16_t status() const noexcept { return hoopauth_response_status(raw()); }
    /// Returns the number of headers.
    std::size_t size() const noexcept { return hoopauth_response_header_count(raw()); }
    /// One of the headers in the order they came, by its number from 0, its name in lower case;
    /// empty where there is none.
    hoopauth::header operator[](std::size_t index) const noexcept {
        hoopauth_header_t one{};
        if (hoopauth_response_header_at(raw(), index, &one, nullptr) != HOOPAUTH_OK) return {};
        return {{one.name, one.name_len}, {one.value, one.value_len}};
    }
    /// The first of the headers.
    detail::iterator<response_view> begin() const noexcept { return {*this, 0}; }
    /// The end of the headers.
    detail::iterator<response_view> end() const noexcept { return {*this, size()}; }
    /// The value of the first header of that name, in any case.
    std::optional<std::string_view> header(std::string_view name) const noexcept {
        std::size_t len = 0;
        const char* value = hoopauth_response_header(raw(), name.data(), name.size(), &len);
        return value ? std::optional<std::string_view>(std::string_view(value, len)) : std::nullopt;
    }
    /// The body, decompressed. It may hold any bytes.
    std::string_view body() const noexcept { return detail::view(hoopauth_response_body, raw()); }
    /// The handle, borrowed.
    const hoopauth_response_t* raw() const noexcept { return raw_; }

private:
    const hoopauth_response_t* raw_;
};

/// Reason why a call failed: what happened, what to do next, and what the server said. It contains
/// no secret. Copies share one text. Any thread may read it.
class error : public std::exception {
public:
    /// A failure of a callback's own, to be returned or thrown by it. No secrets.
    explicit error(hoopauth::code code, std::string message = {},
                   std::optional<bool> retryable = std::nullopt)
        : code_(code),
          retryable_(retryable),
          message_(std::make_shared<const std::string>(std::move(message))) {}

    /// Takes a status and the library's error, which may be NULL.
    error(hoopauth_status_t status, hoopauth_error_t* raw)
        : code_(static_cast<hoopauth::code>(status)), raw_(raw, hoopauth_error_free) {}

    /// The kind of failure.
    hoopauth::code code() const noexcept { return code_; }

    /// Returns what happened and what to do next, for people; the code's name if nothing more is
    /// known.
    std::string_view message() const noexcept {
        if (message_ && !message_->empty()) return *message_;
        return raw_ ? detail::view(hoopauth_error_message, raw()) : name(code_);
    }

    /// The message, as text that ends with a NUL.
    const char* what() const noexcept override { return message().data(); }

    /// The HTTP status of the answer that caused it.
    std::optional<std::uint16_t> http_status() const noexcept {
        const std::uint16_t status = hoopauth_error_http_status(raw());
        return status ? std::optional<std::uint16_t>(status) : std::nullopt;
    }

    /// The server's own words, cut to 500 characters and cleaned.
    std::optional<std::string_view> server_message() const noexcept {
        return detail::view_some(hoopauth_error_server_message, raw());
    }

    /// The server's traceId, for HoopAI's support.
    std::optional<std::string_view> trace_id() const noexcept {
        return detail::view_some(hoopauth_error_trace_id, raw());
    }

    /// Returns the time to wait before the next try, if that is known.
    std::optional<seconds> retry_after() const noexcept {
        const double after = hoopauth_error_retry_after(raw());
        return after < 0 ? std::nullopt : std::optional<seconds>(seconds(after));
    }

    /// Returns true if the same call can succeed later although nobody changes anything.
    bool retryable() const noexcept {
        return retryable_.value_or(hoopauth_error_is_retryable(raw()));
    }

    /// The account it is about, such as "location:ve9EPM428h8vShlRW1KT".
    std::optional<std::string_view> account() const noexcept {
        return detail::view_some(hoopauth_error_account, raw());
    }

    /// The answer that it is about, headers and body at hand, where a request ended in one. Good as
    /// long as this error or a copy of it.
    std::optional<response_view> response() const noexcept {
        const hoopauth_response_t* response = hoopauth_error_response(raw());
        return response ? std::optional<response_view>(response_view(response)) : std::nullopt;
    }

    /// Returns true if a callback said something about retrying; for the wrapper.
    std::optional<bool> said_retryable() const noexcept { return retryable_; }

    /// The library's handle, borrowed; NULL for an error of a callback's own.
    const hoopauth_error_t* raw() const noexcept { return raw_.get(); }

private:
    hoopauth::code code_;
    std::optional<bool> retryable_;
    std::shared_ptr<const std::string> message_;
    std::shared_ptr<hoopauth_error_t> raw_;
};

#if HOOPAUTH_EXCEPTIONS
/// The exceptions: one class per code, each a hoopauth::error.
namespace errors {
#define HOOPAUTH_ERROR_(name, NAME)                                             \
    /** Thrown for the code of this name. */                                    \
    class name : public hoopauth::error {                                       \
    public:                                                                     \
        /** Takes over what is known. */                                        \
        explicit name(hoopauth::error why) : hoopauth::error(std::move(why)) {} \
    };
HOOPAUTH_CODES_(HOOPAUTH_ERROR_)
#undef HOOPAUTH_ERROR_
}  // namespace errors

namespace detail {

[[noreturn]] inline void raise(hoopauth::error error) {
    switch (error.code()) {
#define HOOPAUTH_RAISE_(name, NAME) \
    case code::name:                \
        throw errors::name(std::move(error));
        HOOPAUTH_CODES_(HOOPAUTH_RAISE_)
#undef HOOPAUTH_RAISE_
    }
    throw error;
}

}  // namespace detail
#endif

/// A value, or why there is none.
template <class T>
class [[nodiscard]] result {
public:
    /// A value.
    result(T value) : content_(std::in_place_index<0>, std::move(value)) {}
    /// A failure.
    result(hoopauth::error error) : content_(std::in_place_index<1>, std::move(error)) {}

    /// Returns true if there is a value.
    bool has_value() const noexcept { return content_.index() == 0; }
    /// Returns true if there is a value.
    explicit operator bool() const noexcept { return has_value(); }

    /// The value; only where there is one.
    T& operator*() & noexcept { return *std::get_if<0>(&content_); }
    /// The value; only where there is one.
    const T& operator*() const& noexcept { return *std::get_if<0>(&content_); }
    /// The value, to be moved from; only where there is one.
    T&& operator*() && noexcept { return std::move(*std::get_if<0>(&content_)); }
    /// The value; only where there is one.
    T* operator->() noexcept { return std::get_if<0>(&content_); }
    /// The value; only where there is one.
    const T* operator->() const noexcept { return std::get_if<0>(&content_); }

    /// Returns the error; call it only if there is no value.
    const hoopauth::error& error() const noexcept { return *std::get_if<1>(&content_); }

#if HOOPAUTH_EXCEPTIONS
    /// The value; throws the error where there is none.
    T value() && {
        if (!has_value()) detail::raise(error());
        return std::move(**this);
    }
#endif

private:
    std::variant<T, hoopauth::error> content_;
};

/// Success, or why there was none.
template <>
class [[nodiscard]] result<void> {
public:
    /// Success.
    result() noexcept = default;
    /// A failure.
    result(hoopauth::error error) : error_(std::move(error)) {}

    /// Returns true if the call succeeded.
    bool has_value() const noexcept { return !error_; }
    /// Returns true if the call succeeded.
    explicit operator bool() const noexcept { return has_value(); }
    /// Returns the error; call it only if the call failed.
    const hoopauth::error& error() const noexcept { return *error_; }

#if HOOPAUTH_EXCEPTIONS
    /// Throws the error, if there is one.
    void value() && {
        if (error_) detail::raise(*error_);
    }
#endif

private:
    std::optional<hoopauth::error> error_;
};

namespace detail {

inline result<void> done(hoopauth_status_t status, hoopauth_error_t* err) {
    if (status == HOOPAUTH_OK) return {};
    return error(status, err);
}

// A new object of the handle that the library made.
template <class T, class Raw>
result<T> made(hoopauth_status_t status, Raw* raw, hoopauth_error_t* err) {
    if (status == HOOPAUTH_OK) return T(raw);
    return error(status, err);
}

// Calls a function that makes nothing. Its last parameter, the error, is added here.
template <class... Parameters, class... Arguments>
result<void> run(hoopauth_status_t (*call)(Parameters...), Arguments... arguments) {
    hoopauth_error_t* err = nullptr;
    const auto status = call(arguments..., &err);
    return done(status, err);
}

// Calls a function that makes a handle, for a new object. Its last two parameters, the handle and
// the error, are added here.
template <class T, class... Parameters, class... Arguments>
result<T> make(hoopauth_status_t (*call)(Parameters...), Arguments... arguments) {
    using out_parameter =
        std::tuple_element_t<sizeof...(Parameters) - 2, std::tuple<Parameters...>>;
    std::remove_pointer_t<out_parameter> out = nullptr;
    hoopauth_error_t* err = nullptr;
    const auto status = call(arguments..., &out, &err);
    return made<T>(status, out, err);
}

// Headers as C takes them.
inline std::vector<hoopauth_header_t> raw_headers(const std::vector<header>& headers) {
    std::vector<hoopauth_header_t> raw;
    raw.reserve(headers.size());
    for (const header& one : headers) {
        raw.push_back({one.name.data(), one.name.size(), one.value.data(), one.value.size()});
    }
    return raw;
}

// What a moved-from object stands for where NULL would mean something else.
inline hoopauth::error moved(const char* what) {
    return error(code::invalid_argument, std::string("the ") + what + " was moved away");
}

}  // namespace detail

/// Text that the library made; wiped when destroyed. Any thread may read it.
class text {
public:
    /// Takes over a handle.
    explicit text(hoopauth_text_t* raw) noexcept : raw_(raw) {}

    /// The text itself.
    std::string_view view() const noexcept { return detail::view(hoopauth_text_data, raw()); }
    /// The handle, borrowed.
    const hoopauth_text_t* raw() const noexcept { return raw_.get(); }

private:
    detail::handle<hoopauth_text_t, hoopauth_text_free> raw_;
};

/// Deadline for calls, and a switch that ends their waits from another thread. Any thread may use
/// it.
class context {
public:
    /// Takes over a reference.
    explicit context(hoopauth_context_t* raw) noexcept : raw_(raw) {}

    /// Makes a context whose calls end `timeout` from now at the latest, with the error timeout.
    /// Without an argument, they have no end.
    static result<context> try_make(
        seconds timeout = seconds(std::numeric_limits<double>::infinity())) {
        return detail::make<context>(hoopauth_context_new, timeout.count());
    }

#if HOOPAUTH_EXCEPTIONS
    /// No end, but a switch.
    context() : context(try_make().value()) {}
    /// Makes a context whose calls end `timeout` from now at the latest, with the error timeout.
    /// Throws invalid_argument.
    explicit context(seconds timeout) : context(try_make(timeout).value()) {}
#endif

    /// Ends all waits within it, those under way and those to come, with cancelled.
    void cancel() const noexcept { hoopauth_context_cancel(raw(), nullptr); }
    /// Returns true if the context was cancelled.
    bool is_cancelled() const noexcept { return hoopauth_context_is_cancelled(raw()); }
    /// The same context once more, for another thread.
    context share() const noexcept { return context(hoopauth_context_ref(raw())); }
    /// The handle, borrowed.
    const hoopauth_context_t* raw() const noexcept { return raw_.get(); }

private:
    detail::handle<hoopauth_context_t, hoopauth_context_free> raw_;
};

/// One account of a client, looked up once. Any thread may use it.
class account {
public:
    /// Takes over a reference.
    explicit account(hoopauth_account_t* raw) noexcept : raw_(raw) {}

    /// "location:<id>" or "company:<id>".
    std::string_view name() const noexcept { return detail::view(hoopauth_account_name, raw()); }
    /// The same account once more, for another thread.
    account share() const noexcept { return account(hoopauth_account_ref(raw())); }
    /// The handle, borrowed.
    const hoopauth_account_t* raw() const noexcept { return raw_.get(); }

private:
    detail::handle<hoopauth_account_t, hoopauth_account_free> raw_;
};

/// Account argument of a call: an account, or {} for the client's default one.
class account_arg {
public:
    /// The default account.
    account_arg() noexcept = default;
    /// This account, which must outlive the call.
    account_arg(const account& account) noexcept : raw_(account.raw()), moved_(!account.raw()) {}

    /// The handle; NULL for the default one.
    const hoopauth_account_t* raw() const noexcept { return raw_; }
    /// Returns true for a moved-from account, which is not the default one.
    bool moved() const noexcept { return moved_; }

private:
    const hoopauth_account_t* raw_ = nullptr;
    bool moved_ = false;
};

/// Context argument of a call: a context, or {} for the option timeout.
class within {
public:
    /// The option timeout, and no switch.
    within() noexcept = default;
    /// This context, which must outlive the call.
    within(const context& context) noexcept : raw_(context.raw()), moved_(!context.raw()) {}

    /// The handle; NULL for none.
    const hoopauth_context_t* raw() const noexcept { return raw_; }
    /// Returns true for a moved-from context.
    bool moved() const noexcept { return moved_; }

private:
    const hoopauth_context_t* raw_ = nullptr;
    bool moved_ = false;
};

/// The headers for one request. It may outlive its client. Any thread may read it.
class headers {
public:
    /// Takes over a handle.
    explicit headers(hoopauth_headers_t* raw) noexcept : raw_(raw) {}

    /// Returns the number of items.
    std::size_t size() const noexcept { return hoopauth_headers_count(raw()); }
    /// One of them, by its number from 0; empty where there is none.
    header operator[](std::size_t index) const noexcept {
        hoopauth_header_t one{};
        if (hoopauth_headers_at(raw(), index, &one, nullptr) != HOOPAUTH_OK) return {};
        return {{one.name, one.name_len}, {one.value, one.value_len}};
    }
    /// The first of them.
    detail::iterator<headers> begin() const noexcept { return {*this, 0}; }
    /// The end of them.
    detail::iterator<headers> end() const noexcept { return {*this, size()}; }

    /// "Bearer " and the token. A secret: send it, don't print it.
    std::string_view authorization() const noexcept {
        return detail::view(hoopauth_headers_authorization, raw());
    }
    /// The value of Version.
    std::string_view version() const noexcept {
        return detail::view(hoopauth_headers_version, raw());
    }
    /// The value of User-Agent.
    std::string_view user_agent() const noexcept {
        return detail::view(hoopauth_headers_user_agent, raw());
    }
    /// The value of Content-Type, where the method carries a body.
    std::optional<std::string_view> content_type() const noexcept {
        return detail::view_some(hoopauth_headers_content_type, raw());
    }

    /// The same headers with another Version, for an operation that documents another one.
    result<headers> try_with_version(std::string_view version) const {
        return detail::make<headers>(hoopauth_headers_with_version, raw(), version.data(),
                                     version.size());
    }
#if HOOPAUTH_EXCEPTIONS
    // BEGIN generated: throwing headers
    /// Does the same as try_with_version, and throws.
    headers with_version(std::string_view version) const {
        return try_with_version(version).value();
    }
    // END generated
#endif

    /// The handle, borrowed.
    const hoopauth_headers_t* raw() const noexcept { return raw_.get(); }

private:
    detail::handle<hoopauth_headers_t, hoopauth_headers_free> raw_;
};

/// The stored result of an authorization of one account; wiped when destroyed. Any thread may read
/// it.
class grant {
public:
    /// Takes over a handle.
    explicit grant(hoopauth_grant_t* raw) noexcept : raw_(raw) {}

    /// A grant of an account, to be imported. Until its end is set, the access token counts as
    /// expired.
    static result<grant> try_make(std::string_view account, std::string_view access_token) {
        return detail::make<grant>(hoopauth_grant_new, account.data(), account.size(),
                                   access_token.data(), access_token.size());
    }

    /// Sets the refresh token; a wrong one is told by the import.
    result<void> try_set_refresh_token(std::string_view token) {
        return detail::run(hoopauth_grant_set_refresh_token, raw_.get(), token.data(),
                           token.size());
    }
    /// Sets when the access token ends.
    result<void> try_set_expires_at(moment end) {
        return detail::run(hoopauth_grant_set_expires_at_ms, raw_.get(), detail::ms(end));
    }
    /// Sets the scopes it has, separated by spaces.
    result<void> try_set_scopes(std::string_view scopes) {
        return detail::run(hoopauth_grant_set_scopes, raw_.get(), scopes.data(), scopes.size());
    }
    /// Sets which company a location belongs to; a wrong one is told by the import.
    result<void> try_set_company_id(std::string_view id) {
        return detail::run(hoopauth_grant_set_company_id, raw_.get(), id.data(), id.size());
    }

#if HOOPAUTH_EXCEPTIONS
    // BEGIN generated: throwing grant
    /// Does the same as try_make, and throws.
    grant(std::string_view account, std::string_view access_token)
        : grant(try_make(account, access_token).value()) {}
    /// Does the same as try_set_refresh_token, and throws.
    grant& set_refresh_token(std::string_view token) {
        return try_set_refresh_token(token).value(), *this;
    }
    /// Does the same as try_set_expires_at, and throws.
    grant& set_expires_at(moment end) { return try_set_expires_at(end).value(), *this; }
    /// Does the same as try_set_scopes, and throws.
    grant& set_scopes(std::string_view scopes) { return try_set_scopes(scopes).value(), *this; }
    /// Does the same as try_set_company_id, and throws.
    grant& set_company_id(std::string_view id) { return try_set_company_id(id).value(), *this; }
    // END generated
#endif

    /// Returns the account of the grant.
    std::string_view account() const noexcept {
        return detail::view(hoopauth_grant_account, raw());
    }
    /// The access token. A secret.
    std::string_view access_token() const noexcept {
        return detail::view(hoopauth_grant_access_token, raw());
    }
    /// The refresh token. A secret, good for one use: whoever sends it outside the client spends
    /// it.
    std::optional<std::string_view> refresh_token() const noexcept {
        return detail::view_some(hoopauth_grant_refresh_token, raw());
    }
    /// The scopes, separated by spaces.
    std::string_view scopes() const noexcept { return detail::view(hoopauth_grant_scopes, raw()); }
    /// The company's id, also of a location.
    std::optional<std::string_view> company_id() const noexcept {
        return detail::view_some(hoopauth_grant_company_id, raw());
    }
    /// The id of the user who authorized it.
    std::optional<std::string_view> user_id() const noexcept {
        return detail::view_some(hoopauth_grant_user_id, raw());
    }
    /// Returns the moment at which the access token ends. A life of no time or less counts as 60
    /// seconds, one that the platform does not tell as 86 399.
    moment expires_at() const noexcept { return detail::at(hoopauth_grant_expires_at_ms(raw())); }
    /// Returns the moment at which the token pair was requested or imported; the epoch before it is
    /// stored.
    moment obtained_at() const noexcept { return detail::at(hoopauth_grant_obtained_at_ms(raw())); }
    /// Returns the moment at which the user authorized the grant, or it was imported or minted; the
    /// epoch before it is stored.
    moment authorized_at() const noexcept {
        return detail::at(hoopauth_grant_authorized_at_ms(raw()));
    }
    /// Returns true if the grant was minted from its company's token.
    bool is_minted() const noexcept { return hoopauth_grant_is_minted(raw()); }
    /// The handle, borrowed.
    const hoopauth_grant_t* raw() const noexcept { return raw_.get(); }

private:
    detail::handle<hoopauth_grant_t, hoopauth_grant_free> raw_;
};

/// Levels of log records. No level holds secrets.
enum class log_level : std::int32_t {
    off = HOOPAUTH_LOG_OFF,      ///< nothing
    error = HOOPAUTH_LOG_ERROR,  ///< something was lost or is about to be
    warn = HOOPAUTH_LOG_WARN,    ///< something failed and is tried again
    info = HOOPAUTH_LOG_INFO,    ///< what happened
    debug = HOOPAUTH_LOG_DEBUG,  ///< why it happened
    trace = HOOPAUTH_LOG_TRACE,  ///< everything
};

/// Receiver of log records.
class log_sink {
public:
    virtual ~log_sink() = default;
    /// Takes one record: its level, the part of the library it comes from, and its text. What it
    /// throws is dropped.
    virtual void log(log_level level, std::string_view target, std::string_view message) = 0;
};

/// A clock of the host's own, for tests and simulations. It is asked on the hot path: it must be
/// quick and must not block. It can't fail, so its functions are noexcept.
class clock {
public:
    virtual ~clock() = default;
    /// The time of day. May jump.
    virtual moment now() noexcept = 0;
    /// The time on a clock that never jumps; its zero is arbitrary.
    virtual std::chrono::milliseconds monotonic() noexcept = 0;
    /// Lets this much time pass: in real time, unless overridden.
    virtual void sleep(std::chrono::milliseconds duration) noexcept {
        std::this_thread::sleep_for(duration);
    }
};

/// Kind of change of a grant. A later library may give others.
enum class change_kind : std::int32_t {
    saved = HOOPAUTH_CHANGE_SAVED,          ///< a new authorization or import was stored
    refreshed = HOOPAUTH_CHANGE_REFRESHED,  ///< the tokens were refreshed or minted
    unsaved = HOOPAUTH_CHANGE_UNSAVED,      ///< a new pair is held in memory: repair the store
    removed = HOOPAUTH_CHANGE_REMOVED,      ///< the grant was removed
    refused = HOOPAUTH_CHANGE_REFUSED,      ///< refused for good: the user must authorize again
};

/// Receiver of changes of grants.
class change_hook {
public:
    virtual ~change_hook() = default;
    /// Called after each change, with the account and the stored generation it is about. What it
    /// throws is dropped.
    virtual void changed(std::string_view account, std::uint64_t generation, change_kind kind) = 0;
};

/// A request that a transport is to send; good until send returns.
class transport_request {
public:
    /// Lends a request.
    explicit transport_request(const hoopauth_transport_request_t* raw) noexcept : raw_(raw) {}

    /// The method, in capitals.
    std::string_view method() const noexcept {
        return detail::view(hoopauth_transport_request_method, raw_);
    }
    /// The absolute URL.
    std::string_view url() const noexcept {
        return detail::view(hoopauth_transport_request_url, raw_);
    }
    /// Returns the number of headers to send.
    std::size_t size() const noexcept { return hoopauth_transport_request_header_count(raw_); }
    /// One of the headers, by its number from 0; empty where there is none. Values may be secret.
    header operator[](std::size_t index) const noexcept {
        hoopauth_header_t one{};
        if (hoopauth_transport_request_header_at(raw_, index, &one, nullptr) != HOOPAUTH_OK)
            return {};
        return {{one.name, one.name_len}, {one.value, one.value_len}};
    }
    /// The first of the headers.
    detail::iterator<transport_request> begin() const noexcept { return {*this, 0}; }
    /// The end of the headers.
    detail::iterator<transport_request> end() const noexcept { return {*this, size()}; }
    /// The body to send, a secret; empty where there is none.
    std::string_view body() const noexcept {
        return detail::view(hoopauth_transport_request_body, raw_);
    }
    /// Returns the time that the whole exchange may take, the body included.
    seconds timeout() const noexcept { return seconds(hoopauth_transport_request_timeout(raw_)); }
    /// The longest body to accept, in bytes after decompression.
    std::size_t max_body() const noexcept { return hoopauth_transport_request_max_body(raw_); }

private:
    const hoopauth_transport_request_t* raw_;
};

/// Place where a transport puts the answer; valid until send returns. Each function tells if the
/// library took it.
class transport_response {
public:
    /// Lends a place.
    explicit transport_response(hoopauth_transport_response_t* raw) noexcept : raw_(raw) {}

    /// Sets the HTTP status of the answer, 100 to 599. An answer without one is no answer.
    bool set_status(std::uint16_t status) noexcept {
        return hoopauth_transport_response_set_status(raw_, status, nullptr) == HOOPAUTH_OK;
    }
    /// Adds a header of the answer.
    bool add_header(std::string_view name, std::string_view value) noexcept {
        return hoopauth_transport_response_add_header(raw_, name.data(), name.size(), value.data(),
                                                      value.size(), nullptr) == HOOPAUTH_OK;
    }
    /// Adds a piece of the body, decompressed; false where it gets longer than allowed: stop then,
    /// the answer is refused.
    [[nodiscard]] bool append_body(std::string_view data) noexcept {
        return hoopauth_transport_response_append_body(raw_, detail::bytes(data), data.size(),
                                                       nullptr) == HOOPAUTH_OK;
    }
    /// Says, beside a failure, that no byte of the request can have reached the server. When in
    /// doubt, don't.
    bool set_not_sent() noexcept {
        return hoopauth_transport_response_set_not_sent(raw_, nullptr) == HOOPAUTH_OK;
    }

private:
    hoopauth_transport_response_t* raw_;
};

/// HTTP of the host's own, instead of the library's.
class transport {
public:
    virtual ~transport() = default;
    /// Sends `request` and puts what came back into `response`. It must not follow redirects, must
    /// verify certificates, and must give up after the request's timeout. An HTTP status of 4xx or
    /// 5xx is an answer, not an error.
    ///
    /// Its own codes: network, timeout, tls, malformed_response (not HTTP), config (no retry can
    /// help).
    virtual result<void> send(const transport_request& request, transport_response& response) = 0;
};

/// Key of a row: each app and account has one row. Valid until the callback returns.
struct row_key {
    /// The app: the origin of the token endpoint and the client id.
    std::string_view app;
    /// The account, "location:<id>" or "company:<id>".
    std::string_view account;
};

/// A row to be saved: opaque bytes, and the columns by which rows are listed. Good until the
/// callback returns.
struct new_row {
    /// UTF-8 text without NUL; sealed if the option store_key is set, and secret if not.
    std::string_view bytes;
    /// True if there is a grant; else the row is a tombstone, which must be kept.
    bool live = false;
    /// True if a refresh is open.
    bool marked = false;
    /// Moment at which the access token ends.
    moment expires_at;
    /// Before this moment maintenance leaves the account alone.
    moment not_before;
};

/// A row as it was saved.
struct stored_row {
    /// Version of the row, at least 1.
    std::uint64_t version = 0;
    /// Exactly the bytes that were saved.
    std::string bytes;
};

/// One row of a list: its account, and its columns as they were last saved.
struct listed_row {
    /// The account.
    std::string account;
    /// True if there is a grant.
    bool live = false;
    /// True if a refresh is open.
    bool marked = false;
    /// Moment at which the access token ends.
    moment expires_at;
    /// Before this moment maintenance leaves the account alone.
    moment not_before;
};

class shared_store;

/// A store of the host's own, for one process. One that several processes share is a shared_store.
///
/// Its own codes: store, store_corrupt, timeout, network.
class store {
public:
    virtual ~store() = default;
    /// The row of `key`; nothing where there never was one.
    virtual result<std::optional<stored_row>> load(const row_key& key) = 0;
    /// Compare-and-set: stores `row` as version `expected` + 1 if the stored version is `expected`
    /// (0: no row), atomically among all who share the store, and tells whether it did. Durable
    /// when it says true.
    virtual result<bool> save(const row_key& key, std::uint64_t expected, const new_row& row) = 0;
    /// All rows of an app, in any order.
    virtual result<std::vector<listed_row>> list(std::string_view app) = 0;
    /// The same object, if it is a shared_store.
    virtual shared_store* shared() noexcept { return nullptr; }
};

/// The exclusive right to refresh one account, held until it is destroyed.
class lease {
public:
    virtual ~lease() = default;
};

/// Purpose of a slot of the budget.
enum class priority : std::int32_t {
    soft = HOOPAUTH_PRIORITY_SOFT,      ///< an early refresh, which leaves the last slot to others
    normal = HOOPAUTH_PRIORITY_NORMAL,  ///< a login, or a refresh that callers wait for
    recovery =
        HOOPAUTH_PRIORITY_RECOVERY,  ///< the repeat after a lost answer; it may exceed the budget,
                                     ///< by as much again, and by 5 at least
};

/// A store of the host's own that several processes share.
class shared_store : public store {
public:
    /// Takes the exclusive right to refresh the account of `key`, among all who share the store,
    /// waiting at most `wait`; nullptr: another holder kept it. The right must end with the process
    /// that holds it and never be taken away.
    virtual result<std::unique_ptr<hoopauth::lease>> lease(const row_key& key,
                                                           std::chrono::milliseconds wait) = 0;
    /// Takes one token-endpoint request out of the app's budget of `per_minute` in any 61 seconds:
    /// 0 if it was taken, else how long to wait before asking again.
    virtual result<std::chrono::milliseconds> take_slot(std::string_view app,
                                                        std::uint32_t per_minute,
                                                        hoopauth::priority priority,
                                                        moment now) = 0;
    /// Remembers the 16 bytes `id` until `until`; false if it was remembered already.
    virtual result<bool> claim(std::string_view app, std::string_view id, moment until,
                               moment now) = 0;
    /// Forgets the 16 bytes `id`.
    virtual result<void> unclaim(std::string_view app, std::string_view id) = 0;
    /// A number that changes with each saved row, whichever process saved it.
    virtual result<std::uint64_t> changes() = 0;
    /// This.
    shared_store* shared() noexcept final { return this; }
};

namespace detail {

// What a callback's failure looks like in C.
inline hoopauth_status_t fail(hoopauth_failure_t* failure, const hoopauth::error& error) noexcept {
    const std::string_view message = error.message();
    hoopauth_failure_set_message(failure, message.data(), message.size(), nullptr);
    if (const auto retryable = error.said_retryable()) {
        hoopauth_failure_set_retryable(failure, *retryable, nullptr);
    }
    return static_cast<hoopauth_status_t>(error.code());
}

// Runs a callback: nothing it throws passes into C.
template <class Work>
hoopauth_status_t guard(hoopauth_failure_t* failure, Work work) noexcept {
#if HOOPAUTH_EXCEPTIONS
    try {
        return work();
    } catch (const hoopauth::error& error) {
        return fail(failure, error);
    } catch (const std::exception& exception) {
        hoopauth_failure_set_message(failure, exception.what(), HOOPAUTH_NUL_TERMINATED, nullptr);
        return HOOPAUTH_CALLBACK_FAILED;
    } catch (...) {
        hoopauth_failure_set_message(failure, "it threw what is no std::exception",
                                     HOOPAUTH_NUL_TERMINATED, nullptr);
        return HOOPAUTH_CALLBACK_FAILED;
    }
#else
    (void)failure;
    return work();
#endif
}

// Runs a callback whose failure nobody can be told.
template <class Work>
void guard(Work work) noexcept {
#if HOOPAUTH_EXCEPTIONS
    try {
        work();
    } catch (...) {
    }
#else
    work();
#endif
}

// The object behind a table of callbacks.
template <class T>
T& the(void* user_data) noexcept {
    return **static_cast<std::shared_ptr<T>*>(user_data);
}

template <class T>
void destroy(void* user_data) noexcept {
    delete static_cast<std::shared_ptr<T>*>(user_data);
}

// Gives an object to the library, which destroys its share of it once; a refused one is destroyed
// here.
template <class Table, class T, class Register>
result<void> give(Table table, std::shared_ptr<T> object, Register registration) {
    if (!object) return error(code::invalid_argument, "the object of the callbacks is missing");
    auto owner = std::make_unique<std::shared_ptr<T>>(std::move(object));
    table.struct_size = sizeof table;
    table.user_data = owner.get();
    table.destroy = [](void* user_data) { destroy<T>(user_data); };
    hoopauth_error_t* err = nullptr;
    const hoopauth_status_t status = registration(&table, &err);
    if (status == HOOPAUTH_OK) (void)owner.release();
    return done(status, err);
}

inline hoopauth_log_callbacks_t log_table() noexcept {
    hoopauth_log_callbacks_t table{};
    table.log = [](void* user_data, std::int32_t level, const char* target, std::size_t target_len,
                   const char* message, std::size_t message_len) {
        guard([&] {
            the<log_sink>(user_data).log(static_cast<log_level>(level), {target, target_len},
                                         {message, message_len});
        });
    };
    return table;
}

inline hoopauth_clock_callbacks_t clock_table() noexcept {
    hoopauth_clock_callbacks_t table{};
    table.now_ms = [](void* user_data) { return ms(the<clock>(user_data).now()); };
    table.monotonic_ms = [](void* user_data) {
        return static_cast<std::uint64_t>(the<clock>(user_data).monotonic().count());
    };
    table.sleep_ms = [](void* user_data, std::uint64_t duration) {
        the<clock>(user_data).sleep(span(duration));
    };
    return table;
}

inline hoopauth_change_callbacks_t change_table() noexcept {
    hoopauth_change_callbacks_t table{};
    table.changed = [](void* user_data, const char* account, std::size_t account_len,
                       std::uint64_t generation, std::int32_t kind) {
        guard([&] {
            the<change_hook>(user_data).changed({account, account_len}, generation,
                                                static_cast<change_kind>(kind));
        });
    };
    return table;
}

inline hoopauth_transport_callbacks_t transport_table() noexcept {
    hoopauth_transport_callbacks_t table{};
    table.send = [](void* user_data, const hoopauth_transport_request_t* request,
                    hoopauth_transport_response_t* response, hoopauth_failure_t* failure) {
        return guard(failure, [&]() -> hoopauth_status_t {
            transport_response answer(response);
            const auto sent = the<transport>(user_data).send(transport_request(request), answer);
            return sent ? HOOPAUTH_OK : fail(failure, sent.error());
        });
    };
    return table;
}

inline row_key key_of(const hoopauth_row_key_t* key) noexcept {
    return {{key->app, key->app_len}, {key->account, key->account_len}};
}

inline hoopauth_store_callbacks_t store_table(bool shared) noexcept {
    hoopauth_store_callbacks_t table{};
    table.load = [](void* user_data, const hoopauth_row_key_t* key, hoopauth_row_t* row,
                    hoopauth_failure_t* failure) {
        return guard(failure, [&]() -> hoopauth_status_t {
            const auto loaded = the<store>(user_data).load(key_of(key));
            if (!loaded) return fail(failure, loaded.error());
            if (!*loaded) return HOOPAUTH_OK;
            const stored_row& found = **loaded;
            return hoopauth_row_set(row, found.version, bytes(found.bytes), found.bytes.size(),
                                    nullptr);
        });
    };
    table.save = [](void* user_data, const hoopauth_row_key_t* key, std::uint64_t expected,
                    const hoopauth_new_row_t* row, bool* saved, hoopauth_failure_t* failure) {
        return guard(failure, [&]() -> hoopauth_status_t {
            const new_row given{chars(row->bytes, row->bytes_len), row->live, row->marked,
                                at(row->expires_at_ms), at(row->not_before_ms)};
            const auto done = the<store>(user_data).save(key_of(key), expected, given);
            if (!done) return fail(failure, done.error());
            *saved = *done;
            return HOOPAUTH_OK;
        });
    };
    table.list = [](void* user_data, const char* app, std::size_t app_len,
                    hoopauth_row_list_t* rows, hoopauth_failure_t* failure) {
        return guard(failure, [&]() -> hoopauth_status_t {
            const auto listed = the<store>(user_data).list({app, app_len});
            if (!listed) return fail(failure, listed.error());
            for (const listed_row& row : *listed) {
                const auto status = hoopauth_row_list_add(
                    rows, row.account.data(), row.account.size(), row.live, row.marked,
                    ms(row.expires_at), ms(row.not_before), nullptr);
                if (status != HOOPAUTH_OK) return status;
            }
            return HOOPAUTH_OK;
        });
    };
    if (!shared) return table;
    table.lease = [](void* user_data, const hoopauth_row_key_t* key, std::uint64_t wait,
                     void** lease, hoopauth_failure_t* failure) {
        return guard(failure, [&]() -> hoopauth_status_t {
            auto taken = the<store>(user_data).shared()->lease(key_of(key), span(wait));
            if (!taken) return fail(failure, taken.error());
            *lease = taken->release();
            return HOOPAUTH_OK;
        });
    };
    table.unlease = [](void*, void* held) { delete static_cast<hoopauth::lease*>(held); };
    table.take_slot = [](void* user_data, const char* app, std::size_t app_len,
                         std::uint32_t per_minute, std::int32_t priority, std::int64_t now,
                         std::uint64_t* wait, hoopauth_failure_t* failure) {
        return guard(failure, [&]() -> hoopauth_status_t {
            const auto taken = the<store>(user_data).shared()->take_slot(
                {app, app_len}, per_minute, static_cast<hoopauth::priority>(priority), at(now));
            if (!taken) return fail(failure, taken.error());
            *wait = static_cast<std::uint64_t>(taken->count());
            return HOOPAUTH_OK;
        });
    };
    table.claim = [](void* user_data, const char* app, std::size_t app_len, const std::uint8_t* id,
                     std::int64_t until, std::int64_t now, bool* claimed,
                     hoopauth_failure_t* failure) {
        return guard(failure, [&]() -> hoopauth_status_t {
            const auto done = the<store>(user_data).shared()->claim({app, app_len}, chars(id, 16),
                                                                    at(until), at(now));
            if (!done) return fail(failure, done.error());
            *claimed = *done;
            return HOOPAUTH_OK;
        });
    };
    table.unclaim = [](void* user_data, const char* app, std::size_t app_len,
                       const std::uint8_t* id, hoopauth_failure_t* failure) {
        return guard(failure, [&]() -> hoopauth_status_t {
            const auto done =
                the<store>(user_data).shared()->unclaim({app, app_len}, chars(id, 16));
            return done ? HOOPAUTH_OK : fail(failure, done.error());
        });
    };
    table.changes = [](void* user_data, std::uint64_t* changes, hoopauth_failure_t* failure) {
        return guard(failure, [&]() -> hoopauth_status_t {
            const auto number = the<store>(user_data).shared()->changes();
            if (!number) return fail(failure, number.error());
            *changes = *number;
            return HOOPAUTH_OK;
        });
    };
    return table;
}

}  // namespace detail

/// Sends the library's log records up to `level` to `sink`, in place of those before, for the whole
/// process. Any thread.
inline result<void> try_set_log(log_level level, std::shared_ptr<log_sink> sink) {
    return detail::give(detail::log_table(), std::move(sink), [&](const auto* table, auto** err) {
        return hoopauth_log_set(static_cast<std::int32_t>(level), table, err);
    });
}

/// Ends the log.
inline void unset_log() noexcept { hoopauth_log_set(HOOPAUTH_LOG_OFF, nullptr, nullptr); }

#if HOOPAUTH_EXCEPTIONS
/// Does the same as try_set_log, and throws.
inline void set_log(log_level level, std::shared_ptr<log_sink> sink) {
    try_set_log(level, std::move(sink)).value();
}
#endif

/// Configuration of a client: options by name, and the host's own store, transport and clock. One
/// thread at a time.
class config {
public:
    /// Takes over a handle.
    explicit config(hoopauth_config_t* raw) noexcept : raw_(raw) {}

    /// An empty configuration.
    static result<config> try_make() {
        hoopauth_config_t* out = nullptr;
        hoopauth_error_t* err = nullptr;
        hoopauth_status_t status = hoopauth_config_new(&out, &err);
        if (status == HOOPAUTH_OK) {
            status = hoopauth_config_set_language(out, "c++", HOOPAUTH_NUL_TERMINATED, &err);
        }
        config made(out);
        if (status != HOOPAUTH_OK) return error(status, err);
        return made;
    }

    /// Sets an option by its name; the last value wins. Seconds are decimals, lists are separated
    /// by spaces.
    result<void> try_set(std::string_view name, std::string_view value) {
        return detail::run(hoopauth_config_set, raw_.get(), name.data(), name.size(), value.data(),
                           value.size());
    }
    /// Lets the environment fill, when a client is made, what is not set: HOOPAUTH_<OPTION>,
    /// HOOPAI_TOKEN, LOCATION_ID.
    result<void> try_use_environment() {
        return detail::run(hoopauth_config_use_environment, raw_.get());
    }
    /// Names the program's language for the User-Agent; it is "c++" unless set.
    result<void> try_set_language(std::string_view language) {
        return detail::run(hoopauth_config_set_language, raw_.get(), language.data(),
                           language.size());
    }
    /// Gives clients a store of the host's own; a std::unique_ptr does as well.
    result<void> try_set_store(std::shared_ptr<store> store) {
        const bool shared = store && store->shared();
        return detail::give(detail::store_table(shared), std::move(store),
                            [this](const auto* table, auto** err) {
                                return hoopauth_config_set_store(raw_.get(), table, err);
                            });
    }
    /// Gives clients HTTP of the host's own; a std::unique_ptr does as well.
    result<void> try_set_transport(std::shared_ptr<transport> transport) {
        return detail::give(detail::transport_table(), std::move(transport),
                            [this](const auto* table, auto** err) {
                                return hoopauth_config_set_transport(raw_.get(), table, err);
                            });
    }
    /// Gives clients a clock of the host's own; a std::unique_ptr does as well.
    result<void> try_set_clock(std::shared_ptr<clock> clock) {
        return detail::give(detail::clock_table(), std::move(clock),
                            [this](const auto* table, auto** err) {
                                return hoopauth_config_set_clock(raw_.get(), table, err);
                            });
    }
    /// Lets clients tell the host of each change of a grant; a std::unique_ptr does as well.
    result<void> try_set_change(std::shared_ptr<change_hook> hook) {
        return detail::give(detail::change_table(), std::move(hook),
                            [this](const auto* table, auto** err) {
                                return hoopauth_config_set_change(raw_.get(), table, err);
                            });
    }

#if HOOPAUTH_EXCEPTIONS
    // BEGIN generated: throwing config
    /// Does the same as try_make, and throws.
    config() : config(try_make().value()) {}
    /// Does the same as try_set, and throws.
    config& set(std::string_view name, std::string_view value) {
        return try_set(name, value).value(), *this;
    }
    /// Does the same as try_use_environment, and throws.
    config& use_environment() { return try_use_environment().value(), *this; }
    /// Does the same as try_set_language, and throws.
    config& set_language(std::string_view language) {
        return try_set_language(language).value(), *this;
    }
    /// Does the same as try_set_store, and throws.
    config& set_store(std::shared_ptr<store> store) {
        return try_set_store(std::move(store)).value(), *this;
    }
    /// Does the same as try_set_transport, and throws.
    config& set_transport(std::shared_ptr<transport> transport) {
        return try_set_transport(std::move(transport)).value(), *this;
    }
    /// Does the same as try_set_clock, and throws.
    config& set_clock(std::shared_ptr<clock> clock) {
        return try_set_clock(std::move(clock)).value(), *this;
    }
    /// Does the same as try_set_change, and throws.
    config& set_change(std::shared_ptr<change_hook> hook) {
        return try_set_change(std::move(hook)).value(), *this;
    }
    // END generated
#endif

    /// The handle, borrowed.
    const hoopauth_config_t* raw() const noexcept { return raw_.get(); }

private:
    detail::handle<hoopauth_config_t, hoopauth_config_free> raw_;
};

/// The accounts that have a grant, sorted. Any thread may read it.
class accounts {
public:
    /// Takes over a handle.
    explicit accounts(hoopauth_accounts_t* raw) noexcept : raw_(raw) {}

    /// Returns the number of items.
    std::size_t size() const noexcept { return hoopauth_accounts_count(raw()); }
    /// One of them, by its number from 0; empty where there is none.
    std::string_view operator[](std::size_t index) const noexcept {
        std::size_t len = 0;
        const char* name = hoopauth_accounts_at(raw(), index, &len);
        return name ? std::string_view(name, len) : std::string_view();
    }
    /// The first of them.
    detail::iterator<accounts> begin() const noexcept { return {*this, 0}; }
    /// The end of them.
    detail::iterator<accounts> end() const noexcept { return {*this, size()}; }
    /// The handle, borrowed.
    const hoopauth_accounts_t* raw() const noexcept { return raw_.get(); }

private:
    detail::handle<hoopauth_accounts_t, hoopauth_accounts_free> raw_;
};

/// State of an account's grant. Any thread may read it.
class health {
public:
    /// Takes over a handle.
    explicit health(hoopauth_health_t* raw) noexcept : raw_(raw) {}

    /// Returns the moment at which the access token ends.
    moment expires_at() const noexcept { return detail::at(hoopauth_health_expires_at_ms(raw())); }
    /// Returns the moment at which the token pair was requested or imported.
    moment refreshed_at() const noexcept {
        return detail::at(hoopauth_health_refreshed_at_ms(raw()));
    }
    /// Returns the moment at which the user authorized the grant.
    moment authorized_at() const noexcept {
        return detail::at(hoopauth_health_authorized_at_ms(raw()));
    }
    /// The last failure since then.
    std::optional<std::string_view> last_error() const noexcept {
        return detail::view_some(hoopauth_health_last_error, raw());
    }
    /// Returns true if HoopAI refused the refresh token and only the user can help.
    bool needs_reauthorization() const noexcept {
        return hoopauth_health_needs_reauthorization(raw());
    }
    /// Returns true if the current token pair is held in memory because the store failed.
    bool is_unsaved() const noexcept { return hoopauth_health_is_unsaved(raw()); }
    /// Days until the refresh token ends if nobody uses it; nothing without a refresh token.
    std::optional<std::int64_t> idle_days_left() const noexcept {
        const std::int64_t days = hoopauth_health_idle_days_left(raw());
        return days < 0 ? std::nullopt : std::optional<std::int64_t>(days);
    }
    /// The scopes, separated by spaces.
    std::string_view scopes() const noexcept { return detail::view(hoopauth_health_scopes, raw()); }
    /// The handle, borrowed.
    const hoopauth_health_t* raw() const noexcept { return raw_.get(); }

private:
    detail::handle<hoopauth_health_t, hoopauth_health_free> raw_;
};

/// An authorization to be asked for: what differs from the client's options. One thread at a time.
class authorization_request {
public:
    /// Takes over a handle.
    explicit authorization_request(hoopauth_authorization_request_t* raw) noexcept : raw_(raw) {}

    /// Asks for these scopes, separated by spaces; wrong ones are told by client::begin.
    result<void> try_set_scopes(std::string_view scopes) {
        return detail::run(hoopauth_authorization_request_set_scopes, raw_.get(), scopes.data(),
                           scopes.size());
    }
    /// Lets the user come back to this redirect URI; a wrong one is told by client::begin.
    result<void> try_set_redirect_uri(std::string_view uri) {
        return detail::run(hoopauth_authorization_request_set_redirect_uri, raw_.get(), uri.data(),
                           uri.size());
    }
    /// Sends a code challenge, method S256 (RFC 7636).
    result<void> try_set_pkce(bool pkce) {
        return detail::run(hoopauth_authorization_request_set_pkce, raw_.get(), pkce);
    }
    /// Shows the login in the same window instead of a new one.
    result<void> try_set_login_window_self(bool same_window) {
        return detail::run(hoopauth_authorization_request_set_login_window_self, raw_.get(),
                           same_window);
    }
    /// The version of an app that is not published; a wrong one is told by client::begin.
    result<void> try_set_version_id(std::string_view id) {
        return detail::run(hoopauth_authorization_request_set_version_id, raw_.get(), id.data(),
                           id.size());
    }

#if HOOPAUTH_EXCEPTIONS
    // BEGIN generated: throwing authorization_request
    /// Does the same as try_set_scopes, and throws.
    authorization_request& set_scopes(std::string_view scopes) {
        return try_set_scopes(scopes).value(), *this;
    }
    /// Does the same as try_set_redirect_uri, and throws.
    authorization_request& set_redirect_uri(std::string_view uri) {
        return try_set_redirect_uri(uri).value(), *this;
    }
    /// Does the same as try_set_pkce, and throws.
    authorization_request& set_pkce(bool pkce) { return try_set_pkce(pkce).value(), *this; }
    /// Does the same as try_set_login_window_self, and throws.
    authorization_request& set_login_window_self(bool same_window) {
        return try_set_login_window_self(same_window).value(), *this;
    }
    /// Does the same as try_set_version_id, and throws.
    authorization_request& set_version_id(std::string_view id) {
        return try_set_version_id(id).value(), *this;
    }
    // END generated
#endif

    /// The handle, borrowed.
    const hoopauth_authorization_request_t* raw() const noexcept { return raw_.get(); }

private:
    detail::handle<hoopauth_authorization_request_t, hoopauth_authorization_request_free> raw_;
};

/// An authorization that was begun: to be kept until the user comes back, in that user's session.
/// Any thread may read it.
class pending_authorization {
public:
    /// Takes over a handle.
    explicit pending_authorization(hoopauth_pending_authorization_t* raw) noexcept : raw_(raw) {}

    /// The URL to send the user to. It holds the state: don't log it. Once this was sealed and
    /// opened again, it asks for the client's scopes.
    std::string_view url() const noexcept {
        return detail::view(hoopauth_pending_authorization_url, raw());
    }
    /// The value that ties the redirect to this request, by which a host with several finds the
    /// right one.
    std::string_view state() const noexcept {
        return detail::view(hoopauth_pending_authorization_state, raw());
    }
    /// Returns the moment from which the redirect is refused.
    moment expires_at() const noexcept {
        return detail::at(hoopauth_pending_authorization_expires_at_ms(raw()));
    }
    /// The handle, borrowed.
    const hoopauth_pending_authorization_t* raw() const noexcept { return raw_.get(); }

private:
    detail::handle<hoopauth_pending_authorization_t, hoopauth_pending_authorization_free> raw_;
};

/// Maintenance on a thread of the library's own; destroying it ends it, after the refresh under
/// way. In a callback on its own thread nothing is waited for.
class maintenance {
public:
    /// Takes over a handle.
    explicit maintenance(hoopauth_maintenance_t* raw) noexcept : raw_(raw) {}
    /// The handle, borrowed.
    const hoopauth_maintenance_t* raw() const noexcept { return raw_.get(); }

private:
    detail::handle<hoopauth_maintenance_t, hoopauth_maintenance_free> raw_;
};

/// Outcome of an import.
enum class import_outcome : std::int32_t {
    imported = HOOPAUTH_IMPORT_IMPORTED,  ///< the grant is stored
    known = HOOPAUTH_IMPORT_KNOWN,        ///< nothing: the account had that token before
    kept =
        HOOPAUTH_IMPORT_KEPT,  ///< nothing: another live grant is there, and `replace` was not said
};

/// The answer to an API request. Any thread may read it.
class response : public response_view {
public:
    /// Takes over a handle.
    explicit response(hoopauth_response_t* raw) noexcept : response_view(raw), raw_(raw) {}
    /// Takes what another one holds, which is empty then.
    response(response&& other) noexcept
        : response_view(other.raw_.get()), raw_(std::move(other.raw_)) {
        other.forget();
    }
    /// Takes what another one holds, which is empty then.
    response& operator=(response&& other) noexcept {
        raw_ = std::move(other.raw_);
        static_cast<response_view&>(*this) = response_view(raw_.get());
        if (this != &other) other.forget();
        return *this;
    }

private:
    void forget() noexcept { static_cast<response_view&>(*this) = response_view(nullptr); }

    detail::handle<hoopauth_response_t, hoopauth_response_free> raw_;
};

/// A request to the API that the library sends: with the headers of its account, and again where
/// that can help. It may be sent any number of times, by any number of threads; one thread at a
/// time may change it.
class request {
public:
    /// Takes over a handle.
    explicit request(hoopauth_request_t* raw) noexcept : raw_(raw) {}

    /// Sets whose headers it carries, "location:<id>" or "company:<id>"; a wrong one is told when
    /// it is sent.
    result<void> try_set_account(std::string_view account) {
        return detail::run(hoopauth_request_set_account, raw_.get(), account.data(),
                           account.size());
    }
    /// Adds a query parameter; it is encoded. May be called again, with the same name too.
    result<void> try_add_param(std::string_view name, std::string_view value) {
        return detail::run(hoopauth_request_add_param, raw_.get(), name.data(), name.size(),
                           value.data(), value.size());
    }
    /// Adds a header. Those of authentication and of the connection are the library's: such a one
    /// is invalid_argument when it is sent.
    result<void> try_add_header(std::string_view name, std::string_view value) {
        return detail::run(hoopauth_request_add_header, raw_.get(), name.data(), name.size(),
                           value.data(), value.size());
    }
    /// Sets the body, any bytes; copied. Its Content-Type is "application/json" for POST, PUT and
    /// PATCH unless such a header was added.
    result<void> try_set_body(std::string_view body) {
        return detail::run(hoopauth_request_set_body, raw_.get(), detail::bytes(body), body.size());
    }
    /// Sets another Version than the option api_version; a wrong one is told when it is sent.
    result<void> try_set_version(std::string_view version) {
        return detail::run(hoopauth_request_set_version, raw_.get(), version.data(),
                           version.size());
    }
    /// Sets how long it may take with all its tries and waits, instead of the option timeout.
    result<void> try_set_timeout(seconds timeout) {
        return detail::run(hoopauth_request_set_timeout, raw_.get(), timeout.count());
    }
    /// Sets the longest body to accept, in bytes after decompression; a longer one is
    /// malformed_response.
    result<void> try_set_max_body(std::size_t max_body) {
        return detail::run(hoopauth_request_set_max_body, raw_.get(), max_body);
    }
    /// Sets whether an answer with any status is an answer, not only 2xx.
    result<void> try_set_any_status(bool any_status) {
        return detail::run(hoopauth_request_set_any_status, raw_.get(), any_status);
    }
    /// Sets whether sending it twice does no harm: a POST or PATCH is then tried again as a GET is.
    result<void> try_set_repeatable(bool repeatable) {
        return detail::run(hoopauth_request_set_repeatable, raw_.get(), repeatable);
    }

    /// Sends it, again where that can help. Errors: those of headers and report, invalid_argument
    /// (nothing was sent), network, timeout, tls, malformed_response, and http_status for any other
    /// status than 2xx; where an answer came, error::response has it.
    result<response> try_send(within within = {}) const {
        if (within.moved()) return detail::moved("context");
        return detail::make<response>(hoopauth_request_send, raw_.get(), within.raw());
    }

#if HOOPAUTH_EXCEPTIONS
    // BEGIN generated: throwing request
    /// Does the same as try_set_account, and throws.
    request& set_account(std::string_view account) {
        return try_set_account(account).value(), *this;
    }
    /// Does the same as try_add_param, and throws.
    request& add_param(std::string_view name, std::string_view value) {
        return try_add_param(name, value).value(), *this;
    }
    /// Does the same as try_add_header, and throws.
    request& add_header(std::string_view name, std::string_view value) {
        return try_add_header(name, value).value(), *this;
    }
    /// Does the same as try_set_body, and throws.
    request& set_body(std::string_view body) { return try_set_body(body).value(), *this; }
    /// Does the same as try_set_version, and throws.
    request& set_version(std::string_view version) {
        return try_set_version(version).value(), *this;
    }
    /// Does the same as try_set_timeout, and throws.
    request& set_timeout(seconds timeout) { return try_set_timeout(timeout).value(), *this; }
    /// Does the same as try_set_max_body, and throws.
    request& set_max_body(std::size_t max_body) {
        return try_set_max_body(max_body).value(), *this;
    }
    /// Does the same as try_set_any_status, and throws.
    request& set_any_status(bool any_status) {
        return try_set_any_status(any_status).value(), *this;
    }
    /// Does the same as try_set_repeatable, and throws.
    request& set_repeatable(bool repeatable) {
        return try_set_repeatable(repeatable).value(), *this;
    }
    /// Does the same as try_send, and throws.
    response send(within within = {}) const { return try_send(within).value(); }
    // END generated
#endif

    /// The handle, borrowed.
    const hoopauth_request_t* raw() const noexcept { return raw_.get(); }

private:
    detail::handle<hoopauth_request_t, hoopauth_request_free> raw_;
};

/// The API's limits of one account, as its last answer told them; what was not told is nothing.
struct rate_limit {
    /// Requests allowed per interval.
    std::optional<std::int64_t> limit;
    /// Requests left in the current interval.
    std::optional<std::int64_t> remaining;
    /// The length of an interval.
    std::optional<seconds> interval;
    /// Requests allowed per day.
    std::optional<std::int64_t> daily_limit;
    /// Requests left today.
    std::optional<std::int64_t> daily_remaining;
    /// Moment at which the daily limit starts anew.
    std::optional<moment> daily_reset;
    /// Moment at which the answer came.
    moment seen_at;
};

/// A location of a company, as the platform lists it; borrowed from its list.
struct installed_location {
    /// "location:<id>".
    std::string_view account;
    /// Name of the location.
    std::optional<std::string_view> name;
    /// True if the app is installed in the location.
    bool installed = false;
};

/// The locations of a company. Any thread may read it.
class installed_locations {
public:
    /// Takes over a handle.
    explicit installed_locations(hoopauth_installed_locations_t* raw) noexcept : raw_(raw) {}

    /// Returns the number of items.
    std::size_t size() const noexcept { return hoopauth_installed_locations_count(raw()); }
    /// One of them, by its number from 0; empty where there is none.
    installed_location operator[](std::size_t index) const noexcept {
        std::size_t account_len = 0, name_len = 0;
        const char* account = hoopauth_installed_locations_account(raw(), index, &account_len);
        const char* name = hoopauth_installed_locations_name(raw(), index, &name_len);
        installed_location location;
        if (account) location.account = {account, account_len};
        if (name) location.name = std::string_view(name, name_len);
        location.installed = hoopauth_installed_locations_is_installed(raw(), index);
        return location;
    }
    /// The first of them.
    detail::iterator<installed_locations> begin() const noexcept { return {*this, 0}; }
    /// The end of them.
    detail::iterator<installed_locations> end() const noexcept { return {*this, size()}; }
    /// The handle, borrowed.
    const hoopauth_installed_locations_t* raw() const noexcept { return raw_.get(); }

private:
    detail::handle<hoopauth_installed_locations_t, hoopauth_installed_locations_free> raw_;
};

/// Result of client::mint_all.
struct mint_summary {
    /// Locations whose grant was minted.
    std::uint64_t minted = 0;
    /// Locations that had a live grant already.
    std::uint64_t kept = 0;
    /// Locations that could not be minted.
    std::uint64_t failed = 0;
};

/// Progress of client::mint_all. Valid until the callback returns.
struct mint_progress {
    /// The location that was just looked at.
    std::string_view account;
    /// The code of its failure, if it could not be minted.
    std::optional<hoopauth::code> failure;
    /// Returns what happened and what to do next, if the location could not be minted.
    std::string_view message;
    /// Returns the summary so far.
    mint_summary summary;
};

/// One documented operation. Any thread may read it.
class operation {
public:
    /// Takes over a handle.
    explicit operation(hoopauth_operation_t* raw) noexcept : raw_(raw) {}

    /// The operation that a method, in any case, and a path, with or without a query, mean; nothing
    /// for one that is not documented.
    static std::optional<operation> find(std::string_view method, std::string_view path) noexcept {
        hoopauth_operation_t* out = nullptr;
        hoopauth_operation_find(method.data(), method.size(), path.data(), path.size(), &out,
                                nullptr);
        return out ? std::optional<operation>(operation(out)) : std::nullopt;
    }

    /// The method, in capitals.
    std::string_view method() const noexcept {
        return detail::view(hoopauth_operation_method, raw());
    }
    /// The path template, such as "/contacts/{contactId}".
    std::string_view path() const noexcept { return detail::view(hoopauth_operation_path, raw()); }
    /// The documented Version.
    std::optional<std::string_view> version() const noexcept {
        return detail::view_some(hoopauth_operation_version, raw());
    }
    /// The scope it needs, where one is documented.
    std::optional<std::string_view> scope() const noexcept {
        return detail::view_some(hoopauth_operation_scope, raw());
    }
    /// Returns true if tokens of locations may call the operation, or if nothing is documented.
    bool allows_location() const noexcept { return hoopauth_operation_allows_location(raw()); }
    /// Returns true if tokens of companies may call the operation, or if nothing is documented.
    bool allows_company() const noexcept { return hoopauth_operation_allows_company(raw()); }
    /// Returns true if a Private Integration token may call the operation, or if nothing is
    /// documented.
    bool allows_private_integration() const noexcept {
        return hoopauth_operation_allows_private_integration(raw());
    }
    /// The handle, borrowed.
    const hoopauth_operation_t* raw() const noexcept { return raw_.get(); }

private:
    detail::handle<hoopauth_operation_t, hoopauth_operation_free> raw_;
};

/// The least scopes for some operations, each as "GET /contacts/{contactId}", with a template's or
/// a real path: separated by spaces, sorted, each once. Errors: invalid_argument, with the one in
/// the message that is not documented.
inline result<text> try_scopes_for(const std::vector<std::string>& operations) {
    std::vector<const char*> list;
    list.reserve(operations.size());
    for (const std::string& one : operations) list.push_back(one.c_str());
    return detail::make<text>(hoopauth_scopes_for, list.data(), list.size());
}

#if HOOPAUTH_EXCEPTIONS
/// Does the same as try_scopes_for, and throws.
inline text scopes_for(const std::vector<std::string>& operations) {
    return try_scopes_for(operations).value();
}
#endif

/// The scopes that most programs need.
namespace scopes {
// BEGIN generated: scopes
/// Reads contacts, with their notes, tasks and appointments.
inline constexpr std::string_view contacts_readonly = HOOPAUTH_SCOPE_CONTACTS_READONLY;
/// Creates, changes and deletes contacts, with their notes, tasks, tags, followers, campaigns and
/// workflows.
inline constexpr std::string_view contacts_write = HOOPAUTH_SCOPE_CONTACTS_WRITE;
/// Reads and searches conversations; their messages need `conversations/message.readonly`.
inline constexpr std::string_view conversations_readonly = HOOPAUTH_SCOPE_CONVERSATIONS_READONLY;
/// Creates, changes and deletes conversations; sending messages needs
/// `conversations/message.write`.
inline constexpr std::string_view conversations_write = HOOPAUTH_SCOPE_CONVERSATIONS_WRITE;
/// Reads calendars, their schedules and free slots; events and appointments need
/// `calendars/events.readonly`.
inline constexpr std::string_view calendars_readonly = HOOPAUTH_SCOPE_CALENDARS_READONLY;
/// Creates, changes and deletes calendars and their schedules; events and appointments need
/// `calendars/events.write`.
inline constexpr std::string_view calendars_write = HOOPAUTH_SCOPE_CALENDARS_WRITE;
/// Reads and searches opportunities, with their pipelines and lost reasons.
inline constexpr std::string_view opportunities_readonly = HOOPAUTH_SCOPE_OPPORTUNITIES_READONLY;
/// Creates, changes and deletes opportunities, with their followers and status.
inline constexpr std::string_view opportunities_write = HOOPAUTH_SCOPE_OPPORTUNITIES_WRITE;
// END generated
}  // namespace scopes

/// Configuration of a verifier of webhooks: options by name, and keys beside the platform's own.
/// One thread at a time.
class webhook_config {
public:
    /// Takes over a handle.
    explicit webhook_config(hoopauth_webhook_config_t* raw) noexcept : raw_(raw) {}

    /// An empty configuration: the platform's Ed25519 key alone.
    static result<webhook_config> try_make() {
        return detail::make<webhook_config>(hoopauth_webhook_config_new);
    }

    /// Sets an option by its name; the last value wins. A wrong one is told when a verifier is
    /// made.
    result<void> try_set(std::string_view name, std::string_view value) {
        return detail::run(hoopauth_webhook_config_set, raw_.get(), name.data(), name.size(),
                           value.data(), value.size());
    }
    /// Adds a key of the scheme "ed25519", "rsa-sha256" or "hmac-sha256", which counts within these
    /// moments. A public key is PEM, or SPKI DER or (Ed25519) the 32 raw bytes as base64 or hex; a
    /// secret has at least 16 bytes. Errors: config.
    result<void> try_add_key(std::string_view scheme, std::string_view label, std::string_view key,
                             std::optional<moment> not_before = std::nullopt,
                             std::optional<moment> not_after = std::nullopt) {
        return detail::run(hoopauth_webhook_config_add_key, raw_.get(), scheme.data(),
                           scheme.size(), label.data(), label.size(), key.data(), key.size(),
                           not_before ? detail::ms(*not_before) : 0,
                           not_after ? detail::ms(*not_after) : 0);
    }

#if HOOPAUTH_EXCEPTIONS
    // BEGIN generated: throwing webhook_config
    /// Does the same as try_make, and throws.
    webhook_config() : webhook_config(try_make().value()) {}
    /// Does the same as try_set, and throws.
    webhook_config& set(std::string_view name, std::string_view value) {
        return try_set(name, value).value(), *this;
    }
    /// Does the same as try_add_key, and throws.
    webhook_config& add_key(std::string_view scheme, std::string_view label, std::string_view key,
                            std::optional<moment> not_before = std::nullopt,
                            std::optional<moment> not_after = std::nullopt) {
        return try_add_key(scheme, label, key, not_before, not_after).value(), *this;
    }
    // END generated
#endif

    /// The handle, borrowed.
    const hoopauth_webhook_config_t* raw() const noexcept { return raw_.get(); }

private:
    detail::handle<hoopauth_webhook_config_t, hoopauth_webhook_config_free> raw_;
};

/// A verified webhook, claimed by this process; destroyed without confirm, it is released. Any
/// thread may use it.
class webhook_delivery {
public:
    /// Takes over a handle.
    explicit webhook_delivery(hoopauth_webhook_delivery_t* raw) noexcept : raw_(raw) {}

    /// The event's type, such as "ContactCreate"; unknown ones are passed on. Empty where the event
    /// has none, as those of invoices, products and records.
    std::string_view type() const noexcept {
        return detail::view(hoopauth_webhook_delivery_type, raw());
    }
    /// The event's webhookId, or a hash of the body where there is none: the same for each try of
    /// the platform.
    std::string_view id() const noexcept {
        return detail::view(hoopauth_webhook_delivery_id, raw());
    }
    /// Returns the moment of the event; nothing if it does not say, or not in a form that can be
    /// read.
    std::optional<moment> timestamp() const noexcept {
        std::int64_t ms = 0;
        if (!hoopauth_webhook_delivery_timestamp(raw(), &ms)) return std::nullopt;
        return detail::at(ms);
    }
    /// The location it is about, else the company.
    std::optional<std::string_view> account() const noexcept {
        return detail::view_some(hoopauth_webhook_delivery_account, raw());
    }
    /// The event's appId.
    std::optional<std::string_view> app_id() const noexcept {
        return detail::view_some(hoopauth_webhook_delivery_app_id, raw());
    }
    /// The label of the key that verified it.
    std::string_view key() const noexcept {
        return detail::view(hoopauth_webhook_delivery_key, raw());
    }
    /// The body, byte for byte.
    std::string_view body() const noexcept {
        return detail::view(hoopauth_webhook_delivery_body, raw());
    }
    /// The body as JSON text that every parser takes: without a byte order mark, half an emoji (as
    /// JavaScript escapes one that was cut) replaced by U+FFFD, a number beyond all floating-point
    /// numbers as text. At most 512 levels deep.
    std::string_view json_text() const noexcept {
        return detail::view(hoopauth_webhook_delivery_json, raw());
    }

    /// Says that it was handled: from now on it is webhook_replayed. Errors: invalid_state after a
    /// release, those of the store.
    result<void> try_confirm(within within = {}) const {
        if (within.moved()) return detail::moved("context");
        return detail::run(hoopauth_webhook_delivery_confirm, raw(), within.raw());
    }
    /// Says that it was not handled: the next try of the platform is accepted. Answer 429, so that
    /// there is one. Errors: invalid_state after it was confirmed, those of the store.
    result<void> try_release(within within = {}) const {
        if (within.moved()) return detail::moved("context");
        return detail::run(hoopauth_webhook_delivery_release, raw(), within.raw());
    }

#if HOOPAUTH_EXCEPTIONS
    // BEGIN generated: throwing webhook_delivery
    /// Does the same as try_confirm, and throws.
    void confirm(within within = {}) const { try_confirm(within).value(); }
    /// Does the same as try_release, and throws.
    void release(within within = {}) const { try_release(within).value(); }
    // END generated
#endif

    /// The handle, borrowed.
    const hoopauth_webhook_delivery_t* raw() const noexcept { return raw_.get(); }

private:
    detail::handle<hoopauth_webhook_delivery_t, hoopauth_webhook_delivery_free> raw_;
};

/// Outcome of client::apply. A later library may give others.
enum class applied : std::int32_t {
    nothing = HOOPAUTH_APPLIED_NOTHING,  ///< the event says nothing about grants, or nothing new
    minted = HOOPAUTH_APPLIED_MINTED,    ///< a location's grant was minted
    remembered = HOOPAUTH_APPLIED_REMEMBERED,  ///< minted once the company's grant is here
    removed = HOOPAUTH_APPLIED_REMOVED,        ///< grants were removed
    outdated =
        HOOPAUTH_APPLIED_OUTDATED,  ///< an UNINSTALL older than the grant's authorization: ignored
};

/// The name of what was done, such as "minted"; "unknown" for a number that the library does not
/// know.
inline std::string_view name(applied applied) noexcept {
    return hoopauth_applied_name(static_cast<std::int32_t>(applied));
}

class webhook_verifier;

/// Authenticates a program's requests: any number of accounts with one credential. Any thread may
/// call any of its functions.
class client {
public:
    /// Takes over a reference.
    explicit client(hoopauth_client_t* raw) noexcept : raw_(raw) {}

    /// Makes a client. No I/O happens here. Errors: config, with the option's name in the message.
    static result<client> try_make(const config& config) {
        return detail::make<client>(hoopauth_client_new, config.raw());
    }

    /// The same client once more, for another thread.
    client share() const noexcept { return client(hoopauth_client_ref(raw())); }
    /// The handle, borrowed.
    const hoopauth_client_t* raw() const noexcept { return raw_.get(); }

    /// Looks up an account, "location:<id>" or "company:<id>". It need not be authorized yet.
    /// Errors: invalid_argument; wrong_account where the client has a static token of another
    /// account.
    result<hoopauth::account> try_account(std::string_view name) const {
        return detail::make<hoopauth::account>(hoopauth_client_account, raw(), name.data(),
                                               name.size());
    }

    /// Headers for a request of an account, for an HTTP method in any case; an expiring token is
    /// refreshed on the way. Errors: no_grant, reauthorization_required, account_inactive,
    /// cancelled, timeout, and what a refresh and the store can meet.
    result<hoopauth::headers> try_headers(const hoopauth::account& account, std::string_view method,
                                          within within = {}) const {
        return headers_of(account, method, within);
    }
    /// Does the same for the default account.
    result<hoopauth::headers> try_headers(std::string_view method, within within = {}) const {
        return headers_of({}, method, within);
    }
    /// Does the same for an account given as text. Use it if accounts come too rarely to keep them.
    result<hoopauth::headers> try_headers(std::string_view account, std::string_view method,
                                          within within = {}) const {
        if (within.moved()) return detail::moved("context");
        return detail::make<hoopauth::headers>(hoopauth_client_headers_by_name, raw(),
                                               account.data(), account.size(), method.data(),
                                               method.size(), within.raw());
    }

    /// Headers as they were sent, put together again from the value of Authorization, to report an
    /// answer.
    result<hoopauth::headers> try_sent_headers(account_arg account, std::string_view method,
                                               std::string_view authorization) const {
        if (account.moved()) return detail::moved("account");
        return detail::make<hoopauth::headers>(hoopauth_client_sent_headers, raw(), account.raw(),
                                               method.data(), method.size(), authorization.data(),
                                               authorization.size());
    }

    /// Tells what came back for a request that was sent with `headers`. Headers in return: the
    /// token was refused and there is a new one; repeat the request, once, with these. None: the
    /// answer is no matter of authentication. What a refresh can't cure is an error:
    /// reauthorization_required, insufficient_scope, wrong_token_class, wrong_account,
    /// invalid_private_integration, rate_limited, http_status, and what a refresh can meet. Of the
    /// body the first kilobytes are enough.
    result<std::optional<hoopauth::headers>> try_report(
        const hoopauth::headers& headers, std::uint16_t http_status, std::string_view body,
        const std::vector<header>& answer_headers = {}, within within = {}) const {
        if (within.moved()) return detail::moved("context");
        const auto answer = detail::raw_headers(answer_headers);
        hoopauth_headers_t* repeat = nullptr;
        hoopauth_error_t* err = nullptr;
        const auto status =
            hoopauth_client_report(raw(), headers.raw(), http_status, answer.data(), answer.size(),
                                   detail::bytes(body), body.size(), within.raw(), &repeat, &err);
        return repeated(status, repeat, err);
    }

    /// Does the same as try_report for a host that also passes what it sent: the error then names
    /// the scope or the class that the operation needs. `path` is a path below api_base or the
    /// whole URL.
    result<std::optional<hoopauth::headers>> try_report_request(
        const hoopauth::headers& headers, std::string_view method, std::string_view path,
        std::uint16_t http_status, std::string_view body,
        const std::vector<header>& answer_headers = {}, within within = {}) const {
        if (within.moved()) return detail::moved("context");
        const auto answer = detail::raw_headers(answer_headers);
        hoopauth_headers_t* repeat = nullptr;
        hoopauth_error_t* err = nullptr;
        const auto status = hoopauth_client_report_request(
            raw(), headers.raw(), method.data(), method.size(), path.data(), path.size(),
            http_status, answer.data(), answer.size(), detail::bytes(body), body.size(),
            within.raw(), &repeat, &err);
        return repeated(status, repeat, err);
    }

    /// Starts a request that the library sends: an HTTP method in any case, and a path below
    /// api_base, such as "/contacts/", or an absolute URL on one of the configured hosts. What is
    /// wrong with it is told when it is sent.
    result<hoopauth::request> try_request(std::string_view method, std::string_view path) const {
        return detail::make<hoopauth::request>(hoopauth_client_request, raw(), method.data(),
                                               method.size(), path.data(), path.size());
    }

    /// The API's limits of an account, as the last answer to this client told them; nothing before
    /// the first. No I/O.
    result<std::optional<hoopauth::rate_limit>> try_rate_limit(account_arg account = {}) const {
        if (account.moved()) return detail::moved("account");
        hoopauth_rate_limit_t raw_limit{};
        raw_limit.struct_size = sizeof raw_limit;
        bool found = false;
        hoopauth_error_t* err = nullptr;
        const auto status =
            hoopauth_client_rate_limit(raw(), account.raw(), &raw_limit, &found, &err);
        if (status != HOOPAUTH_OK) return error(status, err);
        if (!found) return std::optional<hoopauth::rate_limit>();
        const auto known = [](std::int64_t number) {
            return number < 0 ? std::nullopt : std::optional<std::int64_t>(number);
        };
        hoopauth::rate_limit limit;
        limit.limit = known(raw_limit.limit);
        limit.remaining = known(raw_limit.remaining);
        if (raw_limit.interval >= 0) limit.interval = seconds(raw_limit.interval);
        limit.daily_limit = known(raw_limit.daily_limit);
        limit.daily_remaining = known(raw_limit.daily_remaining);
        if (raw_limit.daily_reset_ms >= 0) limit.daily_reset = detail::at(raw_limit.daily_reset_ms);
        limit.seen_at = detail::at(raw_limit.seen_at_ms);
        return std::optional<hoopauth::rate_limit>(limit);
    }

    /// The option whose Private Integration token the platform refused; nothing while none was, and
    /// again once that token works.
    std::optional<std::string_view> refused_private_integration_token() const noexcept {
        return detail::view_some(hoopauth_client_refused_private_integration_token, raw());
    }

    /// All locations that `company` installed the app in. Errors: invalid_argument for what is no
    /// company, no_grant, and those of a request.
    result<hoopauth::installed_locations> try_installed_locations(account_arg company = {},
                                                                  within within = {}) const {
        if (company.moved()) return detail::moved("account");
        if (within.moved()) return detail::moved("context");
        return detail::make<hoopauth::installed_locations>(hoopauth_client_installed_locations,
                                                           raw(), company.raw(), within.raw());
    }

    /// Mints a grant for each location that `company` installed the app in and that has none; begun
    /// again after a break, it goes on where it was. `progress` is called after each location, one
    /// call at a time and never after this returned; false ends it. What it throws ends it too:
    /// mint_all throws that, try_mint_all answers callback_failed. Errors: as for
    /// installed_locations.
    result<mint_summary> try_mint_all(
        account_arg company = {}, const std::function<bool(const mint_progress&)>& progress = {},
        within within = {}) const {
        if (company.moved()) return detail::moved("account");
        if (within.moved()) return detail::moved("context");
        std::exception_ptr thrown;
        return mint_all_with(company, progress, within, thrown);
    }

    /// Makes a verifier of webhooks for this client's app, which remembers what was handled in the
    /// client's store. Errors: config, with the option's name in the message.
    result<hoopauth::webhook_verifier> try_webhook_verifier(const webhook_config& config) const;

    /// Does what a verified INSTALL or UNINSTALL means for the grants of this client; doing it
    /// again changes nothing. It confirms nothing. Errors: invalid_state without OAuth, those of
    /// mint and of the store.
    result<applied> try_apply(const webhook_delivery& delivery, within within = {}) const {
        if (within.moved()) return detail::moved("context");
        std::int32_t what = 0;
        hoopauth_error_t* err = nullptr;
        const auto status = hoopauth_client_apply(raw(), delivery.raw(), within.raw(), &what, &err);
        if (status != HOOPAUTH_OK) return error(status, err);
        return static_cast<applied>(what);
    }

    /// Mints the grant of `location` from that of its `company`, and stores it. Errors:
    /// invalid_argument where one is not of its kind, no_grant for the company, and those of the
    /// token endpoint.
    result<void> try_mint(const hoopauth::account& location, const hoopauth::account& company,
                          within within = {}) const {
        if (!location.raw() || !company.raw()) return detail::moved("account");
        if (within.moved()) return detail::moved("context");
        return detail::run(hoopauth_client_mint, raw(), location.raw(), company.raw(),
                           within.raw());
    }

    /// Imports a grant from elsewhere. One whose refresh token this account was ever imported or
    /// refreshed with changes nothing; another live grant is kept unless `replace`. Errors:
    /// invalid_argument, invalid_state without OAuth, those of the store.
    result<import_outcome> try_import(const grant& grant, bool replace = false,
                                      within within = {}) const {
        if (within.moved()) return detail::moved("context");
        std::int32_t outcome = 0;
        hoopauth_error_t* err = nullptr;
        const auto status =
            hoopauth_client_import(raw(), grant.raw(), replace, within.raw(), &outcome, &err);
        if (status != HOOPAUTH_OK) return error(status, err);
        return static_cast<import_outcome>(outcome);
    }

    /// The stored grant of an account, tokens included, for moving it elsewhere. Errors: no_grant,
    /// those of the store.
    result<grant> try_export(account_arg account = {}, within within = {}) const {
        if (account.moved()) return detail::moved("account");
        if (within.moved()) return detail::moved("context");
        return detail::make<grant>(hoopauth_client_export, raw(), account.raw(), within.raw());
    }

    /// Removes the grant of an account and leaves a tombstone; tells whether there was one. Errors:
    /// those of the store.
    result<bool> try_remove(account_arg account = {}, within within = {}) const {
        if (account.moved()) return detail::moved("account");
        if (within.moved()) return detail::moved("context");
        bool removed = false;
        hoopauth_error_t* err = nullptr;
        const auto status =
            hoopauth_client_remove(raw(), account.raw(), within.raw(), &removed, &err);
        if (status != HOOPAUTH_OK) return error(status, err);
        return removed;
    }

    /// The accounts that have a grant, sorted. Errors: those of the store.
    result<hoopauth::accounts> try_accounts(within within = {}) const {
        if (within.moved()) return detail::moved("context");
        return detail::make<hoopauth::accounts>(hoopauth_client_accounts, raw(), within.raw());
    }

    /// Tells how the grant of an account stands. Errors: no_grant, those of the store.
    result<hoopauth::health> try_health(account_arg account = {}, within within = {}) const {
        if (account.moved()) return detail::moved("account");
        if (within.moved()) return detail::moved("context");
        return detail::make<hoopauth::health>(hoopauth_client_health, raw(), account.raw(),
                                              within.raw());
    }

    /// Starts to ask for an authorization, with the client's redirect_uri and scopes. Errors:
    /// invalid_state without OAuth.
    result<hoopauth::authorization_request> try_authorization_request() const {
        return detail::make<hoopauth::authorization_request>(hoopauth_client_authorization_request,
                                                             raw());
    }

    /// Makes the URL to send the user to, with the client's options as they are. Errors: config,
    /// invalid_state without OAuth.
    result<pending_authorization> try_begin() const { return begin_with(nullptr); }
    /// Makes the URL to send the user to. Errors: config for a wrong redirect URI or scope,
    /// invalid_state without OAuth.
    result<pending_authorization> try_begin(const hoopauth::authorization_request& request) const {
        if (!request.raw()) return detail::moved("authorization request");
        return begin_with(request.raw());
    }

    /// Seals a pending authorization as text, for a cookie or another process of the same app: some
    /// hundred characters, whatever the number of scopes. Errors: invalid_state, store_key.
    result<text> try_seal_pending(const pending_authorization& pending) const {
        return detail::make<text>(hoopauth_client_seal_pending, raw(), pending.raw());
    }
    /// Opens what seal_pending made. Errors: state_mismatch if it was changed or belongs to another
    /// app or key.
    result<pending_authorization> try_open_pending(std::string_view sealed) const {
        return detail::make<pending_authorization>(hoopauth_client_open_pending, raw(),
                                                   sealed.data(), sealed.size());
    }

    /// Completes an authorization with the redirect that the user came back by, the whole URL or
    /// its query, and answers the account that was authorized. Errors: state_mismatch,
    /// authorization_denied, wrong_token_class, invalid_argument for what is no redirect, and those
    /// of the token endpoint.
    result<hoopauth::account> try_complete(const pending_authorization& pending,
                                           std::string_view redirect, within within = {}) const {
        if (within.moved()) return detail::moved("context");
        return detail::make<hoopauth::account>(hoopauth_client_complete, raw(), pending.raw(),
                                               redirect.data(), redirect.size(), within.raw());
    }

    /// Completes an installation that began on the marketplace page and so carries no state: only
    /// for the account that the caller expects; another one is wrong_account and is not stored.
    /// Errors: as for complete.
    result<hoopauth::account> try_complete_unsolicited(std::string_view code,
                                                       const hoopauth::account& expected,
                                                       within within = {}) const {
        if (!expected.raw()) return detail::moved("account");
        if (within.moved()) return detail::moved("context");
        return detail::make<hoopauth::account>(hoopauth_client_complete_unsolicited, raw(),
                                               code.data(), code.size(), expected.raw(),
                                               within.raw());
    }

    /// Renews the tokens of all accounts ahead of their end, within the budget, until the client's
    /// clock reads `until` or the context ends. Living tokens come first, whichever ends first;
    /// accounts that keep failing share a tenth of the budget. Blocks. Errors: cancelled, timeout;
    /// invalid_state without OAuth, after close, and in a forked child.
    result<void> try_maintain(moment until, within within = {}) const {
        if (within.moved()) return detail::moved("context");
        return detail::run(hoopauth_client_maintain, raw(), detail::ms(until), within.raw());
    }
    /// The same on a thread of the library's own, until the answer is destroyed or the client
    /// closed. Failures are logged.
    result<maintenance> try_maintain_in_background() const {
        return detail::make<maintenance>(hoopauth_client_maintain_in_background, raw());
    }

    /// Saves what could not be saved yet and ends the client, for all who share it; later calls are
    /// invalid_state. Errors: those of the store; what could not be saved is lost with the process
    /// then.
    result<void> try_close() const { return detail::run(hoopauth_client_close, raw()); }

#if HOOPAUTH_EXCEPTIONS
    // BEGIN generated: throwing client
    /// Does the same as try_make, and throws.
    explicit client(const config& config) : client(try_make(config).value()) {}
    /// Does the same as try_account, and throws.
    hoopauth::account account(std::string_view name) const { return try_account(name).value(); }
    /// Does the same as try_headers, and throws.
    hoopauth::headers headers(const hoopauth::account& account, std::string_view method,
                              within within = {}) const {
        return try_headers(account, method, within).value();
    }
    /// Does the same as try_headers, and throws.
    hoopauth::headers headers(std::string_view method, within within = {}) const {
        return try_headers(method, within).value();
    }
    /// Does the same as try_headers, and throws.
    hoopauth::headers headers(std::string_view account, std::string_view method,
                              within within = {}) const {
        return try_headers(account, method, within).value();
    }
    /// Does the same as try_sent_headers, and throws.
    hoopauth::headers sent_headers(account_arg account, std::string_view method,
                                   std::string_view authorization) const {
        return try_sent_headers(account, method, authorization).value();
    }
    /// Does the same as try_report, and throws.
    std::optional<hoopauth::headers> report(const hoopauth::headers& headers,
                                            std::uint16_t http_status, std::string_view body,
                                            const std::vector<header>& answer_headers = {},
                                            within within = {}) const {
        return try_report(headers, http_status, body, answer_headers, within).value();
    }
    /// Does the same as try_report_request, and throws.
    std::optional<hoopauth::headers> report_request(const hoopauth::headers& headers,
                                                    std::string_view method, std::string_view path,
                                                    std::uint16_t http_status,
                                                    std::string_view body,
                                                    const std::vector<header>& answer_headers = {},
                                                    within within = {}) const {
        return try_report_request(headers, method, path, http_status, body, answer_headers, within)
            .value();
    }
    /// Does the same as try_request, and throws.
    hoopauth::request request(std::string_view method, std::string_view path) const {
        return try_request(method, path).value();
    }
    /// Does the same as try_rate_limit, and throws.
    std::optional<hoopauth::rate_limit> rate_limit(account_arg account = {}) const {
        return try_rate_limit(account).value();
    }
    /// Does the same as try_installed_locations, and throws.
    hoopauth::installed_locations installed_locations(account_arg company = {},
                                                      within within = {}) const {
        return try_installed_locations(company, within).value();
    }
    /// Does the same as try_apply, and throws.
    applied apply(const webhook_delivery& delivery, within within = {}) const {
        return try_apply(delivery, within).value();
    }
    /// Does the same as try_mint, and throws.
    void mint(const hoopauth::account& location, const hoopauth::account& company,
              within within = {}) const {
        try_mint(location, company, within).value();
    }
    /// Does the same as try_import, and throws. (`import` is a word of the language.)
    import_outcome import_grant(const grant& grant, bool replace = false,
                                within within = {}) const {
        return try_import(grant, replace, within).value();
    }
    /// Does the same as try_export, and throws. (`export` is a word of the language.)
    grant export_grant(account_arg account = {}, within within = {}) const {
        return try_export(account, within).value();
    }
    /// Does the same as try_remove, and throws.
    bool remove(account_arg account = {}, within within = {}) const {
        return try_remove(account, within).value();
    }
    /// Does the same as try_accounts, and throws.
    hoopauth::accounts accounts(within within = {}) const { return try_accounts(within).value(); }
    /// Does the same as try_health, and throws.
    hoopauth::health health(account_arg account = {}, within within = {}) const {
        return try_health(account, within).value();
    }
    /// Does the same as try_authorization_request, and throws.
    hoopauth::authorization_request authorization_request() const {
        return try_authorization_request().value();
    }
    /// Does the same as try_begin, and throws.
    pending_authorization begin() const { return try_begin().value(); }
    /// Does the same as try_begin, and throws.
    pending_authorization begin(const hoopauth::authorization_request& request) const {
        return try_begin(request).value();
    }
    /// Does the same as try_seal_pending, and throws.
    text seal_pending(const pending_authorization& pending) const {
        return try_seal_pending(pending).value();
    }
    /// Does the same as try_open_pending, and throws.
    pending_authorization open_pending(std::string_view sealed) const {
        return try_open_pending(sealed).value();
    }
    /// Does the same as try_complete, and throws.
    hoopauth::account complete(const pending_authorization& pending, std::string_view redirect,
                               within within = {}) const {
        return try_complete(pending, redirect, within).value();
    }
    /// Does the same as try_complete_unsolicited, and throws.
    hoopauth::account complete_unsolicited(std::string_view code, const hoopauth::account& expected,
                                           within within = {}) const {
        return try_complete_unsolicited(code, expected, within).value();
    }
    /// Does the same as try_maintain, and throws.
    void maintain(moment until, within within = {}) const { try_maintain(until, within).value(); }
    /// Does the same as try_maintain_in_background, and throws.
    maintenance maintain_in_background() const { return try_maintain_in_background().value(); }
    /// Does the same as try_close, and throws.
    void close() const { try_close().value(); }
    // END generated
    /// Does the same as try_mint_all, and throws, also what `progress` throws.
    mint_summary mint_all(account_arg company = {},
                          const std::function<bool(const mint_progress&)>& progress = {},
                          within within = {}) const {
        if (company.moved()) detail::raise(detail::moved("account"));
        if (within.moved()) detail::raise(detail::moved("context"));
        std::exception_ptr thrown;
        auto minted = mint_all_with(company, progress, within, thrown);
        if (thrown) std::rethrow_exception(thrown);
        return std::move(minted).value();
    }
    /// Does the same as try_webhook_verifier, and throws.
    hoopauth::webhook_verifier webhook_verifier(const webhook_config& config) const;
#endif

private:
    result<hoopauth::headers> headers_of(account_arg account, std::string_view method,
                                         within within) const {
        if (account.moved()) return detail::moved("account");
        if (within.moved()) return detail::moved("context");
        return detail::make<hoopauth::headers>(hoopauth_client_headers, raw(), account.raw(),
                                               method.data(), method.size(), within.raw());
    }

    static result<std::optional<hoopauth::headers>> repeated(hoopauth_status_t status,
                                                             hoopauth_headers_t* repeat,
                                                             hoopauth_error_t* err) {
        if (status != HOOPAUTH_OK) return error(status, err);
        if (!repeat) return std::optional<hoopauth::headers>();
        return std::optional<hoopauth::headers>(hoopauth::headers(repeat));
    }

    // What `progress` throws goes to `thrown`.
    result<mint_summary> mint_all_with(account_arg company,
                                       const std::function<bool(const mint_progress&)>& progress,
                                       within within, std::exception_ptr& thrown) const {
        struct host {
            const std::function<bool(const mint_progress&)>& progress;
            std::exception_ptr& thrown;
        } own{progress, thrown};
        const hoopauth_mint_callback_t told = [](void* user_data,
                                                 const hoopauth_mint_progress_t* raw) {
            const auto& asked = *static_cast<host*>(user_data);
#if HOOPAUTH_EXCEPTIONS
            try {
                return tell(asked.progress, *raw);
            } catch (...) {
                asked.thrown = std::current_exception();
                return std::int32_t{0};
            }
#else
            return tell(asked.progress, *raw);
#endif
        };
        hoopauth_mint_summary_t summary{};
        summary.struct_size = sizeof summary;
        hoopauth_error_t* err = nullptr;
        const auto status = hoopauth_client_mint_all(
            raw(), company.raw(), progress ? told : nullptr, &own, within.raw(), &summary, &err);
        if (status != HOOPAUTH_OK) return error(status, err);
        if (thrown) return error(code::callback_failed, "the callback of mint_all threw");
        return mint_summary{summary.minted, summary.kept, summary.failed};
    }

    static std::int32_t tell(const std::function<bool(const mint_progress&)>& progress,
                             const hoopauth_mint_progress_t& raw) {
        mint_progress told;
        told.account = {raw.account, raw.account_len};
        if (raw.error) {
            told.failure = static_cast<hoopauth::code>(hoopauth_error_code(raw.error));
            told.message = detail::view(hoopauth_error_message, raw.error);
        }
        told.summary = {raw.minted, raw.kept, raw.failed};
        return progress(told) ? 1 : 0;
    }

    result<pending_authorization> begin_with(
        const hoopauth_authorization_request_t* request) const {
        return detail::make<pending_authorization>(hoopauth_client_begin, raw(), request);
    }

    detail::handle<hoopauth_client_t, hoopauth_client_free> raw_;
};

/// Verifies webhooks: signature, event, app, age, and that it was not handled before. Make it once
/// and keep it. Any thread may use it.
class webhook_verifier {
public:
    /// Takes over a reference.
    explicit webhook_verifier(hoopauth_webhook_verifier_t* raw) noexcept : raw_(raw) {}

    /// A verifier without a client, which remembers what was handled in this process; the option
    /// app_id or any_app must be set, and an event that names no app is webhook_foreign unless a
    /// shared secret signed it or any_app is set. With a client: client::webhook_verifier. Errors:
    /// config, with the option's name in the message.
    static result<webhook_verifier> try_make(const webhook_config& config) {
        return detail::make<webhook_verifier>(hoopauth_webhook_verifier_new, nullptr, config.raw());
    }

    /// Verifies a webhook, by all headers of the request and the body as it came, byte for byte,
    /// and claims it.
    ///
    /// An event that names another app is foreign. One that names no app is accepted if the client
    /// has a grant for its account or for its company, or if a shared secret signed it. The option
    /// any_app accepts both. INSTALL and UNINSTALL must name this app.
    ///
    /// The platform sends again only what was answered with 429, at least under one of its
    /// documented policies: answer that to whatever you can't handle now, not 5xx. Errors, and what
    /// to answer: webhook_replayed and webhook_foreign (200, do nothing), signature_missing and
    /// signature_invalid (401), webhook_malformed and webhook_stale (400), lease_timeout while
    /// another worker handles it (429), and those of the store (429).
    result<webhook_delivery> try_verify(const std::vector<header>& headers, std::string_view body,
                                        within within = {}) const {
        if (within.moved()) return detail::moved("context");
        const auto all = detail::raw_headers(headers);
        return detail::make<webhook_delivery>(hoopauth_webhook_verifier_verify, raw(), all.data(),
                                              all.size(), detail::bytes(body), body.size(),
                                              within.raw());
    }
    /// Verifies only the signature, and returns the label of the key that made it. Nothing is
    /// claimed: you check replays, age and app yourself.
    result<text> try_verify_signature(const std::vector<header>& headers,
                                      std::string_view body) const {
        const auto all = detail::raw_headers(headers);
        return detail::make<text>(hoopauth_webhook_verifier_verify_signature, raw(), all.data(),
                                  all.size(), detail::bytes(body), body.size());
    }

#if HOOPAUTH_EXCEPTIONS
    // BEGIN generated: throwing webhook_verifier
    /// Does the same as try_make, and throws.
    explicit webhook_verifier(const webhook_config& config)
        : webhook_verifier(try_make(config).value()) {}
    /// Does the same as try_verify, and throws.
    webhook_delivery verify(const std::vector<header>& headers, std::string_view body,
                            within within = {}) const {
        return try_verify(headers, body, within).value();
    }
    /// Does the same as try_verify_signature, and throws.
    text verify_signature(const std::vector<header>& headers, std::string_view body) const {
        return try_verify_signature(headers, body).value();
    }
    // END generated
#endif

    /// The same verifier once more, for another thread.
    webhook_verifier share() const noexcept {
        return webhook_verifier(hoopauth_webhook_verifier_ref(raw()));
    }
    /// The handle, borrowed.
    const hoopauth_webhook_verifier_t* raw() const noexcept { return raw_.get(); }

private:
    detail::handle<hoopauth_webhook_verifier_t, hoopauth_webhook_verifier_free> raw_;
};

/// Defines the function that its class declares.
inline result<webhook_verifier> client::try_webhook_verifier(const webhook_config& config) const {
    // Without its client it would be another verifier.
    if (!raw()) return detail::moved("client");
    return detail::make<hoopauth::webhook_verifier>(hoopauth_webhook_verifier_new, raw(),
                                                    config.raw());
}

#if HOOPAUTH_EXCEPTIONS
/// Defines the function that its class declares.
inline webhook_verifier client::webhook_verifier(const webhook_config& config) const {
    return try_webhook_verifier(config).value();
}
#endif

}  // namespace HOOPAUTH_FORM_
}  // namespace hoopauth

#undef HOOPAUTH_CODES_
#undef HOOPAUTH_FORM_

#endif  // HOOPAUTH_HPP
