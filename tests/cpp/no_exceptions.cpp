// The form without exceptions: compiled with -fno-exceptions -fno-rtti. no_exceptions <the
// emulator's JSON line>.
#include "wrapper.hpp"

#if HOOPAUTH_EXCEPTIONS
#error "compile this with -fno-exceptions"
#endif

namespace {

// What a call gave, which must have succeeded.
template <class T>
T good(hoopauth::result<T> result) {
    if (!result) {
        std::fprintf(stderr, "%s\n", result.error().what());
        std::exit(1);
    }
    return std::move(*result);
}

hoopauth::config oauth(const emulator& hoop) {
    auto config = good(hoopauth::config::try_make());
    for (const auto& [name, value] : oauth_options(hoop)) CHECK(config.try_set(name, value));
    return config;
}

class torn_store : public rows_store {
public:
    using rows_store::rows_store;
    hoopauth::result<std::optional<hoopauth::stored_row>> load(const hoopauth::row_key&) override {
        return hoopauth::error(hoopauth::code::store_corrupt, "row 7 is torn");
    }
};

class sink : public hoopauth::log_sink {
public:
    std::atomic<int>& records;
    explicit sink(std::atomic<int>& records) : records(records) {}
    void log(hoopauth::log_level, std::string_view, std::string_view) override { ++records; }
};

class hook : public hoopauth::change_hook {
public:
    std::atomic<int>& changes;
    explicit hook(std::atomic<int>& changes) : changes(changes) {}
    void changed(std::string_view, std::uint64_t, hoopauth::change_kind) override { ++changes; }
};

}  // namespace

int main(int argc, char** argv) {
    CHECK(argc == 2);
    const emulator hoop(argv[1]);
    const std::string name = "location:hoopLocation00000001";
    std::atomic<int> records{0}, changes{0}, destroyed{0};
    CHECK(hoopauth::try_set_log(hoopauth::log_level::trace, std::make_unique<sink>(records)));
    {
        auto config = oauth(hoop);
        CHECK(config.try_set("no_such_option", "1").error().code() == hoopauth::code::config);
        CHECK(config.try_set_store(
            std::make_unique<counted<rows_store>>(destroyed, std::make_shared<memory>())));
        CHECK(config.try_set_transport(std::make_unique<curl_transport>()));
        CHECK(config.try_set_clock(std::make_unique<manual_clock>(
            hoop.control("clock")["now"].get<std::int64_t>() * 1000)));
        CHECK(config.try_set_change(std::make_unique<hook>(changes)));
        const auto client = good(hoopauth::client::try_make(config));
        const auto context = good(hoopauth::context::try_make(std::chrono::seconds(30)));

        const auto none = client.try_headers(name, "GET");
        CHECK(!none && none.error().code() == hoopauth::code::no_grant &&
              none.error().account() == name);
        const auto pending = good(client.try_begin());
        const auto redirect = hoop.approve(pending.url(), name);
        const auto account = good(client.try_complete(pending, redirect, context));
        CHECK(account.name() == name && changes == 1);
        CHECK(client.try_complete(pending, redirect).error().code() ==
              hoopauth::code::state_mismatch);

        const auto headers = good(client.try_headers(account, "GET", context));
        const std::string url = hoop.at("api") + "/locations/hoopLocation00000001";
        CHECK(send("GET", url, lines(headers)).status == 200);
        hoop.control("expire", {{"account", name}});
        const auto refused = send("GET", url, lines(headers));
        const auto repeat = good(client.try_report(headers, 401, refused.body));
        CHECK(repeat && send("GET", url, lines(*repeat)).status == 200);
        CHECK(good(client.try_accounts()).size() == 1);

        auto request = good(client.try_request("POST", "/echo/"));
        CHECK(request.try_set_account(name) && request.try_set_body(R"({"k":"v"})"));
        CHECK(request.try_add_header("X-Own", "mine") && request.try_add_param("a", "b"));
        CHECK(request.try_set_timeout(std::chrono::seconds(20)) &&
              request.try_set_version("2021-04-15"));
        CHECK(request.try_set_max_body(100000) && request.try_set_any_status(true) &&
              request.try_set_repeatable(true));
        const auto response = good(request.try_send(context));
        CHECK(response.status() == 200 &&
              response.body().find(R"("k":"v")") != std::string_view::npos);
        CHECK(good(client.try_rate_limit(account)));
        CHECK(good(hoopauth::try_scopes_for({"GET /contacts/abc"})).view() ==
              hoopauth::scopes::contacts_readonly);
        CHECK(client.try_installed_locations(account).error().code() ==
              hoopauth::code::invalid_argument);
        CHECK(!client.try_mint_all(account, [](const hoopauth::mint_progress&) { return true; }));
        auto webhooks = good(hoopauth::webhook_config::try_make());
        CHECK(webhooks.try_set("max_age", "300") &&
              webhooks.try_add_key("hmac-sha256", "own", "a secret of some length"));
        const auto verifier = good(client.try_webhook_verifier(webhooks));
        CHECK(verifier.try_verify({}, "{}").error().code() == hoopauth::code::signature_missing);
        CHECK(!verifier.try_verify_signature({}, "{}"));
        CHECK(good(client.try_remove(account)));
        CHECK(client.try_close());
        CHECK(client.try_accounts().error().code() == hoopauth::code::invalid_state);
    }
    CHECK(destroyed == 1 && records > 0);
    hoopauth::unset_log();

    auto config = oauth(hoop);
    CHECK(config.try_set_store(std::make_unique<torn_store>(std::make_shared<memory>())));
    const auto client = good(hoopauth::client::try_make(config));
    const auto torn = client.try_headers(name, "GET");
    CHECK(!torn && torn.error().code() == hoopauth::code::store_corrupt);
    CHECK(torn.error().message().find("row 7 is torn") != std::string_view::npos);
    std::printf("all passed\n");
}
