// The C++ wrapper against the emulator: wrapper <the emulator's JSON line>.
#include "wrapper.hpp"

#include <atomic>
#include <condition_variable>
#include <functional>
#include <future>
#include <stdexcept>
#include <thread>
#include <type_traits>
#include <typeinfo>

using namespace std::string_literals;
namespace errors = hoopauth::errors;

namespace {

// The error that `work` throws, which must be of this class.
template <class Error>
Error thrown(const std::function<void()>& work) {
    try {
        work();
    } catch (const Error& error) {
        return error;
    } catch (...) {
        std::fprintf(stderr, "another exception than %s: ", typeid(Error).name());
        throw;
    }
    std::fprintf(stderr, "nothing was thrown instead of %s\n", typeid(Error).name());
    std::exit(1);
}

hoopauth::config oauth(const emulator& hoop) {
    hoopauth::config config;
    for (const auto& [name, value] : oauth_options(hoop)) config.set(name, value);
    return config;
}

hoopauth::grant issued(const emulator& hoop, const std::string& account) {
    const auto pair = hoop.control("grants", {{"account", account}});
    hoopauth::grant grant(account, pair["access_token"].get<std::string>());
    grant.set_refresh_token(pair["refresh_token"].get<std::string>())
        .set_company_id(pair["company_id"].get<std::string>())
        .set_scopes(pair["scope"].get<std::string>())
        .set_expires_at(std::chrono::time_point_cast<std::chrono::milliseconds>(
                            std::chrono::system_clock::now()) +
                        std::chrono::seconds(pair["expires_in"].get<int>()));
    return grant;
}

answer call(const emulator& hoop, const hoopauth::headers& headers, const std::string& path) {
    return send("GET", hoop.at("api") + path, lines(headers));
}

void versions_and_names(const emulator&) {
    CHECK(hoopauth::version() == HOOPAUTH_VERSION);
    CHECK(hoopauth::abi_version() == HOOPAUTH_ABI_VERSION);
    CHECK(name(hoopauth::code::no_grant) == "NO_GRANT");
    CHECK(name(static_cast<hoopauth::code>(12345)) == "UNKNOWN");
}

template <class T>
constexpr bool moves_only =
    std::is_nothrow_move_constructible_v<T> && std::is_nothrow_move_assignable_v<T> &&
    !std::is_copy_constructible_v<T> && !std::is_copy_assignable_v<T>;

void handles_move_and_do_not_copy(const emulator&) {
    static_assert(moves_only<hoopauth::account> && moves_only<hoopauth::accounts> &&
                  moves_only<hoopauth::client>);
    static_assert(moves_only<hoopauth::config> && moves_only<hoopauth::context> &&
                  moves_only<hoopauth::grant>);
    static_assert(moves_only<hoopauth::headers> && moves_only<hoopauth::health> &&
                  moves_only<hoopauth::maintenance>);
    static_assert(moves_only<hoopauth::authorization_request> &&
                  moves_only<hoopauth::pending_authorization>);
    static_assert(moves_only<hoopauth::text> && moves_only<hoopauth::request> &&
                  moves_only<hoopauth::response>);
    static_assert(moves_only<hoopauth::operation> && moves_only<hoopauth::installed_locations>);
    static_assert(moves_only<hoopauth::webhook_config> && moves_only<hoopauth::webhook_verifier>);
    static_assert(moves_only<hoopauth::webhook_delivery>);
    static_assert(std::is_nothrow_copy_constructible_v<hoopauth::error> &&
                  std::is_nothrow_copy_constructible_v<errors::no_grant>);

    hoopauth::config config;
    config.set("access_token", "abc").set("default_account", "location:one");
    hoopauth::client client(config);
    auto account = client.account("location:one");
    hoopauth::context context(std::chrono::seconds(30));
    const auto taken_account = std::move(account);
    const auto taken_context = std::move(context);
    CHECK(taken_account.name() == "location:one");

    // A moved-from account is not the default one, a moved-from context not the option timeout.
    thrown<errors::invalid_argument>([&] { client.headers(account, "GET"); });
    thrown<errors::invalid_argument>([&] { client.headers("GET", context); });
    thrown<errors::invalid_argument>([&] { client.remove(account); });
    thrown<errors::invalid_argument>([&] { client.health(account); });
    thrown<errors::invalid_argument>([&] { client.export_grant(account); });
    thrown<errors::invalid_argument>([&] { client.sent_headers(account, "GET", "Bearer abc"); });
    thrown<errors::invalid_argument>([&] { client.accounts(context); });

    auto taken = std::move(client);
    CHECK(taken.headers(taken_account, "GET", taken_context).authorization() == "Bearer abc");
    thrown<errors::invalid_argument>([&] { client.headers("GET"); });
    CHECK(!context.is_cancelled() && account.name().empty());
    client = taken.share();
    CHECK(client.headers("location:one", "GET").authorization() == "Bearer abc");
    const auto moved = std::move(config);
    thrown<errors::invalid_argument>([&] { config.set("access_token", "abc"); });
    thrown<errors::invalid_argument>([&] { hoopauth::client{config}; });
}

void headers_of_a_private_integration(const emulator&) {
    hoopauth::config config;
    config.set("private_integration_token", "pit-10ca7100-0000-4000-8000-000000000001");
    const hoopauth::client client(config);
    auto headers = client.headers("post");
    CHECK(headers.authorization() == "Bearer pit-10ca7100-0000-4000-8000-000000000001");
    CHECK(headers.version() == "2021-07-28");
    CHECK(headers.user_agent() == "hoopauth/"s + HOOPAUTH_VERSION + " (c++)");
    CHECK(headers.content_type() == "application/json");
    CHECK(!client.headers("GET").content_type());
    std::size_t seen = 0;
    for (const auto [name, value] : headers) {
        CHECK(!name.empty() && !value.empty());
        ++seen;
    }
    CHECK(seen == 4 && headers.size() == 4);
    CHECK(headers[4].name.empty());
    const auto other = headers.with_version("2021-04-15");
    CHECK(other.version() == "2021-04-15" && other[1].value == "2021-04-15");
    CHECK(other.content_type() == "application/json" && headers.version() == "2021-07-28");
    thrown<errors::invalid_argument>([&] { headers.with_version("a\nb"); });
    CHECK(client.sent_headers({}, "GET", headers.authorization()).authorization() ==
          headers.authorization());
    config.set_language("c++/test");
    CHECK(hoopauth::client(config).headers("GET").user_agent() ==
          "hoopauth/"s + HOOPAUTH_VERSION + " (c++/test)");
}

void errors_carry_what_is_known(const emulator& hoop) {
    hoopauth::config config;
    const auto option = thrown<errors::config>([&] { config.set("no_such_option", "1"); });
    CHECK(std::string(option.what()).find("no_such_option") != std::string::npos);
    CHECK(option.code() == hoopauth::code::config && !option.retryable() && !option.http_status() &&
          !option.server_message() && !option.trace_id() && !option.retry_after() &&
          !option.account());
    thrown<hoopauth::error>([&] { config.set("no_such_option", "1"); });
    thrown<std::exception>([&] { hoopauth::client{config}; });

    const hoopauth::client client(oauth(hoop));
    const auto none =
        thrown<errors::no_grant>([&] { client.headers("location:hoopLocation00000003", "GET"); });
    CHECK(none.account() == "location:hoopLocation00000003");

    const std::string account = "location:hoopLocation00000001";
    client.import_grant(issued(hoop, account));
    const auto headers = client.headers(account, "GET");
    const auto answer = call(hoop, headers, "/locations/hoopLocation00000002");
    CHECK(answer.status == 403);
    const auto wrong =
        thrown<errors::wrong_account>([&] { client.report(headers, 403, answer.body); });
    CHECK(wrong.http_status() == 403 && wrong.account() == account);
    CHECK(wrong.server_message() == "The token does not have access to this location.");
    CHECK(wrong.trace_id() && !wrong.trace_id()->empty());

    const auto limited = thrown<errors::rate_limited>([&] {
        client.report(headers, 429, "{\"message\":\"Too Many Requests\"}", {{"Retry-After", "7"}});
    });
    CHECK(limited.retry_after() == hoopauth::seconds(7) && limited.retryable());

    // A copy outlives the one that was thrown.
    const hoopauth::error kept = wrong;
    CHECK(kept.message() == wrong.message() && kept.what() == wrong.what());

    CHECK(!client.report(headers, 200, "{}"));
    CHECK(!client.report(headers, 404, "{}"));
}

void logging_in(const emulator& hoop) {
    const hoopauth::client client(oauth(hoop));
    const std::string account = "location:hoopLocation00000001";
    auto request = client.authorization_request();
    request.set_scopes("contacts.readonly locations.readonly")
        .set_redirect_uri("https://app.example/other")
        .set_pkce(true)
        .set_login_window_self(true)
        .set_version_id("65f0a1b2c3d4e5f607182930");
    const auto before = std::chrono::system_clock::now();
    const auto pending = client.begin(request);
    for (const char* part :
         {"scope=contacts.readonly", "app.example%2Fother", "code_challenge_method=S256",
          "loginWindowOpenMode=self", "version_id=65f0a1b2c3d4e5f607182930"}) {
        CHECK(pending.url().find(part) != std::string_view::npos);
    }
    CHECK(pending.url().find(pending.state()) != std::string_view::npos);
    CHECK(pending.expires_at() > before &&
          pending.expires_at() <= before + std::chrono::minutes(11));

    const auto sealed = client.seal_pending(pending);
    const auto opened = client.open_pending(sealed.view());
    // It holds none of the scopes: the URL is made anew with the client's.
    CHECK(opened.state() == pending.state() &&
          opened.url().find(pending.state()) != std::string_view::npos);
    thrown<errors::state_mismatch>([&] { client.open_pending(std::string(sealed.view()) + "x"); });

    const auto redirect = hoop.approve(pending.url(), account);
    const auto other = client.begin();
    thrown<errors::state_mismatch>([&] { client.complete(other, redirect); });
    CHECK(client.complete(opened, redirect, hoopauth::context(std::chrono::seconds(30))).name() ==
          account);
    thrown<errors::state_mismatch>([&] { client.complete(pending, redirect); });
    CHECK(client.export_grant(client.account(account)).scopes() ==
          "contacts.readonly locations.readonly");

    const auto refused = client.begin();
    thrown<errors::authorization_denied>(
        [&] { client.complete(refused, hoop.deny(refused.url())); });
    thrown<errors::state_mismatch>([&] { client.complete(refused, ""); });
    auto wrong = client.authorization_request();
    wrong.set_scopes("");
    thrown<errors::config>([&] { client.begin(wrong); });

    const auto code = hoop.control("authorize", {{"account", account}})["code"].get<std::string>();
    thrown<errors::wrong_account>([&] {
        client.complete_unsolicited(code, client.account("location:hoopLocation00000002"));
    });
    const auto mine = hoop.control("authorize", {{"account", account}})["code"].get<std::string>();
    CHECK(client.complete_unsolicited(mine, client.account(account)).name() == account);
}

void grants_in_and_out(const emulator& hoop) {
    const std::string account = "location:hoopLocation00000002";
    const hoopauth::client client(oauth(hoop).set("default_account", account));
    const auto grant = issued(hoop, account);
    CHECK(grant.account() == account && grant.refresh_token() &&
          grant.company_id() == "hoopCompany000000001");
    CHECK(!grant.user_id() && grant.obtained_at() == hoopauth::moment() && !grant.is_minted());
    CHECK(client.import_grant(grant) == hoopauth::import_outcome::imported);
    CHECK(client.import_grant(grant) == hoopauth::import_outcome::known);
    const auto second = issued(hoop, account);
    CHECK(client.import_grant(second) == hoopauth::import_outcome::kept);
    CHECK(client.import_grant(second, true) == hoopauth::import_outcome::imported);

    const auto exported = client.export_grant();
    CHECK(exported.access_token() == second.access_token() &&
          exported.refresh_token() == second.refresh_token());
    CHECK(exported.expires_at() == second.expires_at() &&
          exported.obtained_at() > hoopauth::moment() &&
          exported.authorized_at() > hoopauth::moment());
    const auto health = client.health();
    CHECK(health.expires_at() == second.expires_at() &&
          health.refreshed_at() == exported.obtained_at());
    CHECK(health.authorized_at() == exported.authorized_at() && health.scopes() == all_scopes);
    CHECK(!health.last_error() && !health.needs_reauthorization() && !health.is_unsaved());
    CHECK(health.idle_days_left() >= 364);

    client.import_grant(issued(hoop, "company:hoopCompany000000001"));
    const auto company = client.account("company:hoopCompany000000001");
    const auto minted = client.account("location:hoopLocation00000003");
    client.mint(minted, company);
    CHECK(client.export_grant(minted).is_minted());
    thrown<errors::invalid_argument>([&] { client.mint(company, minted); });

    const auto accounts = client.accounts();
    CHECK(accounts.size() == 3 && accounts[0] == "company:hoopCompany000000001" &&
          accounts[2] == minted.name());
    CHECK(accounts[3].empty());
    std::size_t seen = 0;
    for (const auto name : accounts) seen += !name.empty();
    CHECK(seen == 3);
    CHECK(client.remove() && !client.remove());
    thrown<errors::no_grant>([&] { client.export_grant(); });
}

void a_refused_token_is_replaced_once(const emulator& hoop) {
    const std::string account = "location:hoopLocation00000001";
    const hoopauth::client client(oauth(hoop));
    client.import_grant(issued(hoop, account));
    hoop.control("reset", nlohmann::json::object());
    const auto handle = client.account(account);
    auto headers = client.headers(handle, "GET");
    hoop.control("revoke", {{"account", account}, {"access", true}});
    auto answer = call(hoop, headers, "/locations/hoopLocation00000001");
    CHECK(answer.status == 401);
    auto repeat =
        client.report(headers, 401, answer.body, {}, hoopauth::context(std::chrono::seconds(30)));
    CHECK(repeat);
    CHECK(call(hoop, *repeat, "/locations/hoopLocation00000001").status == 200);
    CHECK(hoop.control("statistics")["rotations"] == 1);
}

void a_store_of_the_hosts_own(const emulator& hoop) {
    const std::string account = "location:hoopLocation00000001";
    auto rows = std::make_shared<memory>();
    std::atomic<int> destroyed{0};
    {
        auto config = oauth(hoop);
        config.set_store(std::make_unique<counted<rows_store>>(destroyed, rows));
        {
            const hoopauth::client client(config);
            client.import_grant(issued(hoop, account));
            CHECK(client.accounts().size() == 1);
        }
        // The configuration holds it still; another client goes on with what the first one saved.
        CHECK(destroyed == 0);
        const hoopauth::client client(config);
        CHECK(client.headers(account, "GET").authorization().substr(0, 7) == "Bearer ");
        CHECK(client.remove(client.account(account)));
        CHECK(client.accounts().size() == 0);
        // A store that is replaced is not used any more.
        config.set_store(std::make_shared<rows_store>(rows));
        CHECK(destroyed == 0);
    }
    CHECK(destroyed == 1);
    CHECK(rows->rows.size() == 1 && !rows->rows.begin()->second.listed.live);
}

void a_store_that_processes_share(const emulator& hoop) {
    const std::string account = "location:hoopLocation00000001";
    auto rows = std::make_shared<memory>();
    auto config = oauth(hoop);
    config.set("token_requests_per_minute", "5")
        .set("max_wait", "0.2")
        .set_store(std::make_shared<rows_shared_store>(rows));
    auto again = oauth(hoop);
    again.set_store(std::make_shared<rows_shared_store>(rows));
    const hoopauth::client one(config), two(again);

    // Either may complete a redirect, but only one does.
    const auto pending = one.begin();
    const auto redirect = hoop.approve(pending.url(), account);
    CHECK(one.complete(pending, redirect).name() == account);
    const auto opened = two.open_pending(one.seal_pending(pending).view());
    thrown<errors::state_mismatch>([&] { two.complete(opened, redirect); });
    CHECK(rows->claims == 2 && rows->slots == 1);

    hoop.control("expire", {{"account", account}});
    auto headers = one.headers(account, "GET");
    const auto answer = call(hoop, headers, "/locations/hoopLocation00000001");
    CHECK(one.report(headers, 401, answer.body));
    CHECK(rows->leases == 1 && rows->unleases == 1 && rows->slots == 2);

    // Another holder keeps the lease.
    rows->busy = true;
    hoop.control("expire", {{"account", account}});
    headers = one.headers(account, "GET");
    const auto refused = call(hoop, headers, "/locations/hoopLocation00000001");
    const auto busy =
        thrown<errors::lease_timeout>([&] { one.report(headers, 401, refused.body); });
    CHECK(busy.account() == account);
    rows->busy = false;

    // The budget is used up.
    rows->slot_wait = std::chrono::hours(1);
    thrown<errors::rate_limited>([&] { one.report(headers, 401, refused.body); });
    CHECK(rows->leases == rows->unleases);
}

class failing : public rows_store {
public:
    failing(std::shared_ptr<memory> rows, std::function<hoopauth::result<void>()> fail)
        : rows_store(std::move(rows)), fail_(std::move(fail)) {}

    hoopauth::result<std::optional<hoopauth::stored_row>> load(
        const hoopauth::row_key& key) override {
        if (auto failed = fail_(); !failed) return failed.error();
        return rows_store::load(key);
    }

private:
    std::function<hoopauth::result<void>()> fail_;
};

template <class Error>
Error of_a_failing_store(const emulator& hoop, std::function<hoopauth::result<void>()> fail) {
    auto config = oauth(hoop);
    config.set_store(std::make_unique<failing>(std::make_shared<memory>(), std::move(fail)));
    const hoopauth::client client(config);
    return thrown<Error>([&] { client.headers("location:hoopLocation00000001", "GET"); });
}

void what_callbacks_throw(const emulator& hoop) {
    const auto said = of_a_failing_store<errors::callback_failed>(
        hoop, []() -> hoopauth::result<void> { throw std::runtime_error("the disk is gone"); });
    CHECK(said.message().find("the disk is gone") != std::string_view::npos);
    of_a_failing_store<errors::callback_failed>(hoop, []() -> hoopauth::result<void> { throw 42; });
    const auto typed =
        of_a_failing_store<errors::store_corrupt>(hoop, []() -> hoopauth::result<void> {
            throw hoopauth::error(hoopauth::code::store_corrupt, "row 7 is torn");
        });
    CHECK(typed.message().find("row 7 is torn") != std::string_view::npos);
    const auto returned = of_a_failing_store<errors::store>(hoop, []() -> hoopauth::result<void> {
        return hoopauth::error(hoopauth::code::store, "busy", true);
    });
    CHECK(returned.retryable() && returned.message().find("busy") != std::string_view::npos);
    CHECK(!of_a_failing_store<errors::store>(hoop, []() -> hoopauth::result<void> {
               return hoopauth::error(hoopauth::code::store, "gone", false);
           }).retryable());
    // A code that is not a store's to use.
    of_a_failing_store<errors::callback_failed>(hoop, []() -> hoopauth::result<void> {
        return hoopauth::error(hoopauth::code::no_grant, "odd");
    });

    struct thrower : hoopauth::change_hook, hoopauth::log_sink, hoopauth::transport {
        std::atomic<int> changes{0}, records{0};
        void changed(std::string_view, std::uint64_t, hoopauth::change_kind) override {
            ++changes;
            throw std::runtime_error("a hook");
        }
        void log(hoopauth::log_level, std::string_view, std::string_view) override {
            ++records;
            throw 1;
        }
        hoopauth::result<void> send(const hoopauth::transport_request&,
                                    hoopauth::transport_response&) override {
            throw std::runtime_error("no network card");
        }
    };
    auto object = std::make_shared<thrower>();
    auto config = oauth(hoop);
    config.set_change(object).set_transport(object);
    hoopauth::set_log(hoopauth::log_level::trace, object);
    {
        const hoopauth::client client(config);
        client.import_grant(issued(hoop, "location:hoopLocation00000001"));
        CHECK(object->changes == 1);
        const auto headers = client.headers("location:hoopLocation00000001", "GET");
        const auto failed = thrown<errors::callback_failed>(
            [&] { client.report(headers, 401, "{\"message\":\"Invalid JWT\"}"); });
        CHECK(failed.message().find("no network card") != std::string_view::npos);
        CHECK(object->records > 0);
    }
    hoopauth::unset_log();
}

void callbacks_are_destroyed_once(const emulator& hoop) {
    struct hook : hoopauth::change_hook {
        void changed(std::string_view, std::uint64_t, hoopauth::change_kind) override {}
    };
    struct sink : hoopauth::log_sink {
        void log(hoopauth::log_level, std::string_view, std::string_view) override {}
    };
    std::atomic<int> destroyed{0};
    // Refused.
    auto config = oauth(hoop);
    auto moved = std::move(config);
    thrown<errors::invalid_argument>(
        [&] { config.set_change(std::make_unique<counted<hook>>(destroyed)); });
    CHECK(destroyed == 1);
    thrown<errors::invalid_argument>([&] { moved.set_change(nullptr); });
    thrown<errors::invalid_argument>([&] { moved.set_store(nullptr); });
    // Replaced before any use.
    moved.set_change(std::make_unique<counted<hook>>(destroyed));
    moved.set_change(std::make_unique<counted<hook>>(destroyed));
    CHECK(destroyed == 2);
    // Kept by the client when the configuration is gone.
    {
        const hoopauth::client client(moved);
        {
            const auto gone = std::move(moved);
        }
        CHECK(destroyed == 2);
    }
    CHECK(destroyed == 3);
    hoopauth::set_log(hoopauth::log_level::warn, std::make_unique<counted<sink>>(destroyed));
    hoopauth::set_log(hoopauth::log_level::warn, std::make_unique<counted<sink>>(destroyed));
    CHECK(destroyed == 4);
    hoopauth::unset_log();
    CHECK(destroyed == 5);
    // A share of the host's own lives on.
    const auto shared = std::make_shared<counted<sink>>(destroyed);
    hoopauth::set_log(hoopauth::log_level::warn, shared);
    hoopauth::unset_log();
    CHECK(destroyed == 5 && shared.use_count() == 1);
}

void calls_from_within_a_callback(const emulator& hoop) {
    struct hook : hoopauth::change_hook {
        std::optional<hoopauth::client> client;
        std::optional<hoopauth::code> met;
        void changed(std::string_view account, std::uint64_t generation,
                     hoopauth::change_kind kind) override {
            CHECK(account == "location:hoopLocation00000001" && generation == 1);
            CHECK(kind == hoopauth::change_kind::saved);
            const auto accounts = client->try_accounts();
            if (!accounts) met = accounts.error().code();
        }
    };
    auto object = std::make_shared<hook>();
    auto config = oauth(hoop);
    config.set_change(object);
    object->client.emplace(config);
    object->client->import_grant(issued(hoop, "location:hoopLocation00000001"));
    CHECK(object->met == hoopauth::code::invalid_state);
    object->client.reset();
}

void http_of_the_hosts_own(const emulator& hoop) {
    const std::string account = "location:hoopLocation00000001";
    std::atomic<int> destroyed{0};
    {
        auto carrier = std::make_shared<counted<curl_transport>>(destroyed);
        auto config = oauth(hoop);
        config.set_transport(carrier);
        const hoopauth::client client(config);
        const auto pending = client.begin();
        client.complete(pending, hoop.approve(pending.url(), account));
        CHECK(carrier->sent == 1 && carrier->last_url == hoop.at("token") &&
              carrier->last_method == "POST");
        CHECK(carrier->last_agent == "hoopauth/"s + HOOPAUTH_VERSION + " (c++)");
        CHECK(carrier->last_body_len > 0 && carrier->last_timeout.count() > 0 &&
              carrier->last_max_body >= 65536);
        const auto headers = client.headers(account, "GET");

        // Nothing can have arrived: the next try is the first one.
        carrier->not_sent = 1;
        hoop.control("reset", nlohmann::json::object());
        thrown<errors::network>(
            [&] { client.report(headers, 401, "{\"message\":\"Invalid JWT\"}"); });
        CHECK(client.report(headers, 401, "{\"message\":\"Invalid JWT\"}"));
        CHECK(hoop.control("statistics")["rotations"] == 1);

        carrier->fail = hoopauth::code::tls;
        const auto next = client.headers(account, "GET");
        thrown<errors::tls>([&] { client.report(next, 401, "{\"message\":\"Invalid JWT\"}"); });
    }
    CHECK(destroyed == 1);
}

void a_clock_of_the_hosts_own(const emulator& hoop) {
    const std::string account = "location:hoopLocation00000001";
    auto time =
        std::make_shared<manual_clock>(hoop.control("clock")["now"].get<std::int64_t>() * 1000);
    auto config = oauth(hoop);
    config.set_clock(time);
    const hoopauth::client client(config);
    client.import_grant(issued(hoop, account));
    hoop.control("reset", nlohmann::json::object());
    const std::string before(client.headers(account, "GET").authorization());
    CHECK(client.headers(account, "GET").authorization() == before);
    time->advance(std::chrono::hours(48));
    CHECK(client.headers(account, "GET").authorization() != before);
    CHECK(hoop.control("statistics")["rotations"] == 1);

    // Until a moment that is past already: nothing to do.
    client.maintain(time->now());
    static_assert(noexcept(std::declval<hoopauth::clock&>().now()) &&
                      noexcept(std::declval<hoopauth::clock&>().monotonic()) &&
                      noexcept(std::declval<hoopauth::clock&>().sleep({})),
                  "nobody could be told of a clock that fails");
}

void many_threads_refresh_once(const emulator& hoop) {
    const std::string account = "location:hoopLocation00000001";
    const hoopauth::client client(oauth(hoop));
    client.import_grant(issued(hoop, account));
    const auto stale = client.headers(account, "GET");
    hoop.control("revoke", {{"account", account}, {"access", true}});
    hoop.control("reset", nlohmann::json::object());
    std::vector<std::thread> threads;
    for (int i = 0; i < 8; ++i) {
        threads.emplace_back([&, own = client.share(), handle = client.account(account)] {
            const auto repeat = own.report(stale, 401, "{\"message\":\"Invalid JWT\"}");
            CHECK(repeat && repeat->authorization() == own.headers(handle, "GET").authorization());
        });
    }
    for (auto& thread : threads) thread.join();
    CHECK(hoop.control("statistics")["rotations"] == 1);
}

void another_thread_cancels(const emulator& hoop) {
    const std::string account = "location:hoopLocation00000001";
    const hoopauth::client client(oauth(hoop));
    client.import_grant(issued(hoop, account));
    const auto headers = client.headers(account, "GET");
    hoop.control("reset", nlohmann::json::object());
    hoop.control("hold", {{"endpoint", "token"}});
    const hoopauth::context context;
    auto waiting = std::async(std::launch::async, [&, own = context.share()] {
        thrown<errors::cancelled>(
            [&] { client.report(headers, 401, "{\"message\":\"Invalid JWT\"}", {}, own); });
    });
    CHECK(hoop.control("held?endpoint=token&at_least=1&timeout=30")["reached"] == true);
    context.cancel();
    waiting.get();
    CHECK(context.is_cancelled());
    thrown<errors::cancelled>([&] { client.accounts(context); });
    thrown<errors::timeout>([&] {
        client.report(headers, 401, "{\"message\":\"Invalid JWT\"}", {},
                      hoopauth::context(hoopauth::seconds(0)));
    });
    hoop.control("release", nlohmann::json::object());

    // The refresh that nobody waited for was saved.
    const auto fresh = client.report(headers, 401, "{\"message\":\"Invalid JWT\"}");
    CHECK(fresh && call(hoop, *fresh, "/locations/hoopLocation00000001").status == 200);
    CHECK(hoop.control("statistics")["rotations"] == 1);

    thrown<errors::invalid_argument>([] { hoopauth::context(hoopauth::seconds(-1)); });
}

void a_closed_client(const emulator& hoop) {
    const hoopauth::client client(oauth(hoop));
    const auto other = client.share();
    const hoopauth::context cancelled;
    cancelled.cancel();
    thrown<errors::cancelled>([&] { client.maintain(hoopauth::moment::max(), cancelled); });
    {
        const auto ended = client.maintain_in_background();
    }
    const auto background = client.maintain_in_background();
    CHECK(background.raw());
    client.close();
    thrown<errors::invalid_state>([&] { (void)client.maintain_in_background(); });
    thrown<errors::invalid_state>([&] { other.accounts(); });
    client.close();
}

void requests_of_the_library(const emulator& hoop) {
    const std::string name = "location:hoopLocation00000001";
    const hoopauth::client client(oauth(hoop).set("default_account", name));
    const auto account = client.account(name);
    CHECK(!client.rate_limit(account) && !client.rate_limit());
    client.import_grant(issued(hoop, name));
    auto request = client.request("post", "/echo/");
    request.set_account(name)
        .add_param("q", "a b")
        .add_header("X-Own", "mine")
        .set_version("2021-04-15");
    request.set_body(R"({"k":"v"})")
        .set_timeout(std::chrono::seconds(20))
        .set_max_body(100000)
        .set_repeatable(true);
    auto first = request.send();
    auto response = std::move(first);
    CHECK(first.status() == 0 && first.body().empty() && first.size() == 0);
    CHECK(response.status() == 200 && response.header("CONTENT-type") == "application/json");
    CHECK(!response.header("x-none") && response[10000].name.empty());
    std::size_t seen = 0;
    for (const auto [one, value] : response)
        seen += one == "content-type" && value == "application/json";
    CHECK(seen == 1);
    const auto echo = nlohmann::json::parse(response.body());
    CHECK(echo["method"] == "POST" && echo["body"]["k"] == "v" &&
          echo["headers"]["x-own"] == "mine");
    CHECK(echo["headers"]["version"] == "2021-04-15");
    response = request.send(hoopauth::context(std::chrono::seconds(30)));
    CHECK(response.status() == 200);
    auto& itself = response;
    response = std::move(itself);
    CHECK(response.status() == 200 && !response.body().empty());

    auto none = client.request("GET", "/contacts/none");
    const auto missing = thrown<errors::http_status>([&] { none.send(); });
    CHECK(missing.response() && missing.response()->status() == 404);
    CHECK(missing.response()->body().find("404") != std::string_view::npos);
    CHECK(none.set_any_status(true).send().status() == 404);
    const auto refused = thrown<errors::invalid_argument>(
        [&] { client.request("GET", "//elsewhere.example/").send(); });
    CHECK(!refused.response());
    thrown<errors::timeout>([&] { request.set_timeout(std::chrono::seconds(0)).send(); });
    thrown<errors::invalid_argument>([&] { request.set_timeout(std::chrono::seconds(-1)); });
    const auto taken = std::move(request);
    thrown<errors::invalid_argument>([&] { request.send(); });

    const auto limit = client.rate_limit(account);
    CHECK(limit && limit->limit == 100 && limit->daily_limit == 200000 && limit->remaining < 100);
    CHECK(limit->interval == hoopauth::seconds(10) && limit->daily_reset > limit->seen_at);
    CHECK(client.rate_limit().has_value());
    CHECK(!client.refused_private_integration_token());

    const auto scope = "{\"message\":\"The token is not authorized for this scope.\"}";
    const auto headers = client.headers("GET");
    const auto named = thrown<errors::insufficient_scope>(
        [&] { client.report_request(headers, "GET", "/contacts/abc", 401, scope); });
    CHECK(named.message().find(hoopauth::scopes::contacts_readonly) != std::string_view::npos);
    CHECK(!client.report_request(headers, "GET", "/contacts/abc", 200, {}));
}

void operations_and_scopes(const emulator&) {
    const auto found = hoopauth::operation::find("get", "/contacts/abc?x=1");
    CHECK(found && found->method() == "GET" && found->path() == "/contacts/{contactId}");
    CHECK(found->version() == "2021-07-28" &&
          found->scope() == hoopauth::scopes::contacts_readonly);
    CHECK(found->allows_location() && !found->allows_company() &&
          found->allows_private_integration());
    CHECK(!hoopauth::operation::find("GET", "/no/such/operation"));
    CHECK(hoopauth::scopes_for({"POST /contacts/", "GET /contacts/{contactId}"}).view() ==
          "contacts.readonly contacts.write");
    CHECK(hoopauth::scopes_for({}).view().empty());
    thrown<errors::invalid_argument>([] { hoopauth::scopes_for({"GET /no/such/operation"}); });
}

void all_locations_of_a_company(const emulator& hoop) {
    const hoopauth::client client(oauth(hoop));
    const auto company = client.account("company:hoopCompany000000001");
    thrown<errors::no_grant>([&] { client.installed_locations(company); });
    client.import_grant(issued(hoop, "company:hoopCompany000000001"));
    const auto locations = client.installed_locations(company);
    CHECK(locations.size() == 3 && locations[2].account == "location:hoopLocation00000003");
    for (const auto location : locations)
        CHECK(location.installed && location.name && !location.account.empty());
    CHECK(locations[3].account.empty() && !locations[3].name && !locations[3].installed);
    int calls = 0;
    const auto first = client.mint_all(company, [&](const hoopauth::mint_progress& progress) {
        CHECK(progress.account == "location:hoopLocation00000001" && !progress.failure &&
              progress.message.empty());
        return ++calls < 1;
    });
    CHECK(calls == 1 && first.minted == 1 && first.kept == 0);
    // What it throws passes around the library, not through it.
    thrown<std::domain_error>([&] {
        client.mint_all(company, [](const hoopauth::mint_progress&) -> bool {
            throw std::domain_error("enough");
        });
    });
    const auto lost = client.try_mint_all(
        company, [](const hoopauth::mint_progress&) -> bool { throw std::domain_error("enough"); });
    CHECK(!lost && lost.error().code() == hoopauth::code::callback_failed);
    const auto rest = client.mint_all(company, {}, hoopauth::context(std::chrono::seconds(60)));
    CHECK(rest.minted + rest.kept == 3 && rest.failed == 0);
    thrown<errors::invalid_argument>(
        [&] { client.mint_all(client.account("location:hoopLocation00000001")); });
}

void webhooks(const emulator& hoop) {
    const hoopauth::client client(oauth(hoop));
    const auto signed_by_hoop = [&](const nlohmann::json& event) {
        return hoop.control("webhooks/sign",
                            {{"event", event}, {"schemes", {"ed25519", "hmac-sha256"}}});
    };
    const auto headers_of = [](const nlohmann::json& webhook) {
        std::vector<hoopauth::header> headers;
        for (const auto& pair : webhook["headers"]) {
            headers.push_back(
                {pair[0].get_ref<const std::string&>(), pair[1].get_ref<const std::string&>()});
        }
        return headers;
    };
    const auto body_of = [](const nlohmann::json& webhook) -> const std::string& {
        return webhook["body"].get_ref<const std::string&>();
    };
    hoopauth::webhook_config config;
    const auto keys = hoop.control("webhooks/keys");
    for (const auto& key : keys["keys"]) {
        config.add_key(key["scheme"].get<std::string>(), key["label"].get<std::string>(),
                       key["key"].get<std::string>());
    }
    auto verifier = client.webhook_verifier(config);
    const auto created =
        signed_by_hoop({{"type", "ContactCreate"}, {"locationId", "hoopLocation00000001"}});
    {
        const auto delivery = verifier.verify(headers_of(created), body_of(created));
        CHECK(delivery.type() == "ContactCreate" &&
              delivery.account() == "location:hoopLocation00000001");
        CHECK(delivery.app_id() == "65f0a1b2c3d4e5f607182930" && !delivery.id().empty() &&
              !delivery.key().empty());
        CHECK(delivery.body() == body_of(created) && delivery.timestamp() > hoopauth::moment{});
        thrown<errors::lease_timeout>(
            [&] { verifier.verify(headers_of(created), body_of(created)); });
        CHECK(client.apply(delivery) == hoopauth::applied::nothing &&
              name(hoopauth::applied::nothing) == "nothing");
    }
    // Not confirmed, it was given back.
    {
        const hoopauth::context over;
        over.cancel();
        thrown<errors::cancelled>(
            [&] { verifier.verify(headers_of(created), body_of(created), over); });
        const auto delivery = verifier.share().verify(headers_of(created), body_of(created));
        thrown<errors::cancelled>([&] { delivery.confirm(over); });
        thrown<errors::cancelled>([&] { delivery.release(over); });
        delivery.release();
        thrown<errors::invalid_state>([&] { delivery.confirm(); });
    }
    const hoopauth::context minute(std::chrono::seconds(60));
    verifier.verify(headers_of(created), body_of(created), minute).confirm(minute);
    thrown<errors::webhook_replayed>(
        [&] { verifier.verify(headers_of(created), body_of(created)); });
    CHECK(!verifier.verify_signature(headers_of(created), body_of(created)).view().empty());
    thrown<errors::signature_invalid>(
        [&] { verifier.verify(headers_of(created), body_of(created) + " "); });
    thrown<errors::signature_missing>([&] { verifier.verify({}, body_of(created)); });
    const auto foreign = signed_by_hoop({{"type", "ContactCreate"}, {"appId", "another"}});
    thrown<errors::webhook_foreign>(
        [&] { verifier.verify(headers_of(foreign), body_of(foreign)); });
    const auto plain = signed_by_hoop({{"type", "ContactCreate"}, {"text", "cut"}});
    CHECK(nlohmann::json::parse(
              verifier.verify(headers_of(plain), body_of(plain)).json_text())["text"] == "cut");

    client.import_grant(issued(hoop, "company:hoopCompany000000001"));
    const auto installed = signed_by_hoop({{"type", "INSTALL"},
                                           {"locationId", "hoopLocation00000001"},
                                           {"companyId", "hoopCompany000000001"}});
    const auto delivery = verifier.verify(headers_of(installed), body_of(installed));
    CHECK(client.apply(delivery, hoopauth::context(std::chrono::seconds(60))) ==
          hoopauth::applied::minted);
    CHECK(client.accounts().size() == 2);

    thrown<errors::config>([] { hoopauth::webhook_verifier{hoopauth::webhook_config()}; });
    thrown<errors::config>(
        [] { hoopauth::webhook_config().add_key("md5", "a", "a secret of some length"); });
    thrown<errors::config>(
        [&] { client.webhook_verifier(hoopauth::webhook_config().set("no_such_option", "1")); });
    hoopauth::webhook_config alone;
    alone.set("any_app", "true")
        .add_key("hmac-sha256", "own", "a secret of some length", hoopauth::moment::max());
    const hoopauth::webhook_verifier other(alone);
    thrown<errors::signature_invalid>(
        [&] { other.verify({{"x-wl-signature", std::string(64, 'a')}}, "{}"); });
    const auto taken = std::move(verifier);
    thrown<errors::invalid_argument>([&] { verifier.verify({}, "{}"); });
    auto gone = client.share();
    const auto kept = std::move(gone);
    thrown<errors::invalid_argument>([&] { gone.webhook_verifier(alone); });
}

}  // namespace

int main(int argc, char** argv) {
    CHECK(argc == 2);
    curl_global_init(CURL_GLOBAL_DEFAULT);
    const emulator hoop(argv[1]);
#define RUN(test)                                        \
    do {                                                 \
        std::printf("%s\n", #test);                      \
        std::fflush(stdout);                             \
        hoop.control("reset", nlohmann::json::object()); \
        test(hoop);                                      \
    } while (false)
    RUN(versions_and_names);
    RUN(handles_move_and_do_not_copy);
    RUN(headers_of_a_private_integration);
    RUN(errors_carry_what_is_known);
    RUN(logging_in);
    RUN(grants_in_and_out);
    RUN(a_refused_token_is_replaced_once);
    RUN(a_store_of_the_hosts_own);
    RUN(a_store_that_processes_share);
    RUN(what_callbacks_throw);
    RUN(callbacks_are_destroyed_once);
    RUN(calls_from_within_a_callback);
    RUN(http_of_the_hosts_own);
    RUN(a_clock_of_the_hosts_own);
    RUN(many_threads_refresh_once);
    RUN(another_thread_cancels);
    RUN(a_closed_client);
    RUN(requests_of_the_library);
    RUN(operations_and_scopes);
    RUN(all_locations_of_a_company);
    RUN(webhooks);
    curl_global_cleanup();
    std::printf("all passed\n");
}
