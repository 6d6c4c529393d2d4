// The C++ runner of the conformance cases: cases <file of cases>...
// HOOPAUTH_EMULATOR is the emulator's program, else target/ci/hoopauth-emulator.
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <stdexcept>

#include "wrapper.hpp"

extern char** environ;

namespace {

using nlohmann::json;

// The case does not hold, or is no case.
[[noreturn]] void fail(const std::string& why) { throw std::runtime_error(why); }

// An emulator of its own, which ends when its stdin closes.
class process {
public:
    process() {
        int in[2], out[2];
        if (pipe(in) != 0 || pipe(out) != 0) fail("no pipe");
        posix_spawn_file_actions_t actions;
        posix_spawn_file_actions_init(&actions);
        posix_spawn_file_actions_adddup2(&actions, in[0], STDIN_FILENO);
        posix_spawn_file_actions_adddup2(&actions, out[1], STDOUT_FILENO);
        for (const int end : {in[0], in[1], out[0], out[1]})
            posix_spawn_file_actions_addclose(&actions, end);
        const char* named = std::getenv("HOOPAUTH_EMULATOR");
        std::string program = named ? named : "target/ci/hoopauth-emulator";
        char* arguments[] = {program.data(), nullptr};
        const int spawned =
            posix_spawn(&pid_, program.c_str(), &actions, nullptr, arguments, environ);
        posix_spawn_file_actions_destroy(&actions);
        close(in[0]);
        close(out[1]);
        stdin_ = in[1];
        char byte = 0;
        while (spawned == 0 && read(out[0], &byte, 1) == 1 && byte != '\n') line_.push_back(byte);
        close(out[0]);
        if (line_.empty()) fail("the emulator does not start: " + program);
    }
    ~process() {
        close(stdin_);
        waitpid(pid_, nullptr, 0);
    }
    process(const process&) = delete;
    process& operator=(const process&) = delete;

    const std::string& line() const { return line_; }

private:
    pid_t pid_ = 0;
    int stdin_ = -1;
    std::string line_;
};

// A folder that goes with its case.
class folder {
public:
    folder() {
        if (!mkdtemp(path_.data())) fail("no folder");
    }
    ~folder() {
        std::error_code ignored;
        std::filesystem::remove_all(path_, ignored);
    }
    folder(const folder&) = delete;
    folder& operator=(const folder&) = delete;

    const std::string& path() const { return path_; }

private:
    std::string path_ = "/tmp/hoopauth-case-XXXXXX";
};

void only(const json& object, std::initializer_list<std::string_view> known) {
    for (const auto& [name, value] : object.items()) {
        if (std::find(known.begin(), known.end(), name) == known.end())
            fail("unknown member " + name);
    }
}

bool flag(const json& step, const char* name) {
    return step.contains(name) && step[name].get<bool>();
}

template <class T>
json maybe(const std::optional<T>& value) {
    return value ? json(*value) : json();
}

class player {
public:
    player(const emulator& hoop, std::shared_ptr<manual_clock> time, hoopauth::client client,
           std::optional<hoopauth::client> other)
        : hoop_(hoop),
          time_(std::move(time)),
          client_(std::move(client)),
          other_(std::move(other)) {}

    // Does a step, by the one client or the other, and answers its outcome.
    json step(json step) {
        const bool by_other = step.contains("by");
        if (!by_other) return own_step(step);
        if (step["by"] != "other") fail("unknown client");
        step.erase("by");
        swap();
        try {
            auto outcome = own_step(step);
            swap();
            return outcome;
        } catch (...) {
            swap();
            throw;
        }
    }

private:
    void swap() {
        std::swap(client_, other_.value());
        std::swap(verifiers_, other_verifiers_);
    }

    json own_step(const json& step) {
        const auto text = [&](const char* name) { return step.at(name).get<std::string>(); };
        const auto account = [&] { return client_.account(text("account")); };
        const auto what = text("do");
        if (what == "headers") {
            only(step, {"do", "expect", "method", "account"});
            const auto headers = headers_of(step, text("method"));
            json outcome{{"Content-Type", nullptr}};
            for (const auto [name, value] : headers) outcome[std::string(name)] = value;
            return outcome;
        }
        if (what == "login") {
            only(step, {"do", "expect", "account", "pkce", "sealed", "deny", "state", "again"});
            return login(step, text("account"));
        }
        if (what == "import") {
            only(step, {"do", "expect", "account", "replace", "again"});
            if (!flag(step, "again")) issue(text("account"));
            switch (client_.import_grant(grant_.value(), flag(step, "replace"))) {
                case hoopauth::import_outcome::imported:
                    return {{"outcome", "imported"}};
                case hoopauth::import_outcome::known:
                    return {{"outcome", "known"}};
                case hoopauth::import_outcome::kept:
                    return {{"outcome", "kept"}};
            }
            fail("unknown outcome");
        }
        if (what == "export") {
            only(step, {"do", "expect", "account"});
            const auto grant = client_.export_grant(account());
            return {{"account", grant.account()},
                    {"company_id", maybe(grant.company_id())},
                    {"minted", grant.is_minted()}};
        }
        if (what == "accounts") {
            only(step, {"do", "expect"});
            json names = json::array();
            for (const auto name : client_.accounts()) names.push_back(name);
            return {{"accounts", names}};
        }
        if (what == "health") {
            only(step, {"do", "expect", "account"});
            const auto health = client_.health(account());
            return {{"needs_reauthorization", health.needs_reauthorization()},
                    {"unsaved", health.is_unsaved()},
                    {"idle_days_left", maybe(health.idle_days_left())}};
        }
        if (what == "mint") {
            only(step, {"do", "expect", "account", "company"});
            client_.mint(account(), client_.account(text("company")));
        } else if (what == "remove") {
            only(step, {"do", "expect", "account"});
            return {{"removed", client_.remove(account())}};
        } else if (what == "request") {
            only(step, {"do", "expect", "account", "path", "report"});
            return {{"status", request(step, hoop_.at("api") + text("path"))}};
        } else if (what == "send") {
            return send_by_library(step);
        } else if (what == "rate_limit") {
            only(step, {"do", "expect", "account"});
            const auto limit = client_.rate_limit(account());
            if (!limit) return {{"known", false}};
            return {{"known", true},
                    {"limit", maybe(limit->limit)},
                    {"remaining", maybe(limit->remaining)},
                    {"daily_limit", maybe(limit->daily_limit)},
                    {"daily_remaining", maybe(limit->daily_remaining)}};
        } else if (what == "scopes_for") {
            only(step, {"do", "expect", "operations"});
            const auto found =
                hoopauth::scopes_for(step.at("operations").get<std::vector<std::string>>());
            std::istringstream words{std::string(found.view())};
            json scopes = json::array();
            for (std::string word; words >> word;) scopes.push_back(word);
            return {{"scopes", scopes}};
        } else if (what == "installed_locations") {
            only(step, {"do", "expect", "company"});
            json accounts = json::array();
            const auto locations = client_.installed_locations(client_.account(text("company")));
            for (const auto location : locations) accounts.push_back(location.account);
            return {{"accounts", accounts}};
        } else if (what == "mint_all") {
            only(step, {"do", "expect", "company"});
            const auto done = client_.mint_all(client_.account(text("company")));
            return {{"minted", done.minted}, {"kept", done.kept}, {"failed", done.failed}};
        } else if (what == "revoke_key") {
            only(step, {"do", "expect", "token"});
            hoop_.control("private-integrations/revoke", {{"token", text("token")}});
        } else if (what == "webhook") {
            return webhook(step);
        } else if (what == "advance") {
            only(step, {"do", "expect", "seconds"});
            const auto seconds = step.at("seconds").get<std::int64_t>();
            time_->advance(std::chrono::seconds(seconds));
            hoop_.control("clock", {{"advance", seconds}});
        } else if (what == "maintain") {
            only(step, {"do", "expect", "seconds"});
            const auto seconds = step.at("seconds").get<std::int64_t>();
            client_.maintain(time_->now() + std::chrono::seconds(seconds));
            hoop_.control("clock", {{"advance", seconds}});
        } else if (what == "settings") {
            only(step, {"do", "expect", "casing"});
            hoop_.control("settings", {{"casing", text("casing")}});
        } else if (what == "fault") {
            only(step, {"do", "expect", "endpoint", "kind", "status", "headers", "body", "members",
                        "omit", "first", "before", "times"});
            auto fault = step;
            fault.erase("do");
            fault.erase("expect");
            const auto answer = send("POST", hoop_.at("control") + "/faults", {}, fault.dump());
            if (answer.status != 200) fail("no fault: " + answer.body);
        } else if (what == "revoke") {
            only(step, {"do", "expect", "account", "token"});
            const auto token = text("token");
            if (token != "access" && token != "refresh") fail("unknown token " + token);
            hoop_.control("revoke", {{"account", text("account")}, {token, true}});
        } else if (what == "pause" || what == "unpause") {
            only(step, {"do", "expect", "account"});
            const auto name = text("account");
            hoop_.control(what, {{"location_id", name.substr(name.find(':') + 1)}});
        } else if (what == "uninstall") {
            only(step, {"do", "expect", "account"});
            hoop_.control("uninstall", {{"account", text("account")}});
        } else if (what == "statistics") {
            only(step, {"do", "expect"});
            return hoop_.control("statistics");
        } else {
            fail("unknown step " + what);
        }
        return json::object();
    }

    hoopauth::headers headers_of(const json& step, const std::string& method) {
        if (step.contains("account"))
            return client_.headers(step["account"].get<std::string>(), method);
        return client_.headers(method);
    }

    long request(const json& step, const std::string& url) {
        const auto headers = headers_of(step, "GET");
        const auto answer = send("GET", url, lines(headers));
        if (!flag(step, "report")) return answer.status;
        const auto repeat =
            client_.report(headers, static_cast<std::uint16_t>(answer.status), answer.body);
        return repeat ? send("GET", url, lines(*repeat)).status : answer.status;
    }

    json send_by_library(const json& step) {
        only(step, {"do", "expect", "method", "path", "account", "params", "json", "body",
                    "headers", "version", "any_status", "repeatable"});
        auto request = client_.request(step.at("method").get<std::string>(),
                                       step.at("path").get<std::string>());
        const auto pairs = [&](const char* name) { return step.value(name, json::object()); };
        const auto params = pairs("params"), headers = pairs("headers");
        for (const auto& [name, value] : params.items())
            request.add_param(name, value.get<std::string>());
        for (const auto& [name, value] : headers.items())
            request.add_header(name, value.get<std::string>());
        if (step.contains("account")) request.set_account(step["account"].get<std::string>());
        if (step.contains("version")) request.set_version(step["version"].get<std::string>());
        if (step.contains("json")) request.set_body(step["json"].dump());
        if (step.contains("body")) request.set_body(step["body"].get<std::string>());
        request.set_any_status(flag(step, "any_status")).set_repeatable(flag(step, "repeatable"));
        const auto response = request.send();
        json outcome{{"status", response.status()}, {"header", json::object()}};
        const auto body = json::parse(response.body(), nullptr, false);
        outcome["body"] = body.is_discarded() ? json() : body;
        const auto expected = step.value("expect", json::object());
        const auto wanted =
            expected.is_object() ? expected.value("header", json::object()) : json::object();
        for (const auto& [name, value] : wanted.items())
            outcome["header"][name] = maybe(response.header(name));
        return outcome;
    }

    json webhook(const json& step) {
        only(step, {"do", "expect", "verifier", "keys", "emulator_keys", "headers", "body", "sign",
                    "again", "then"});
        if (step.contains("sign")) {
            webhook_ = hoop_.control("webhooks/sign", step["sign"]);
        } else if (!flag(step, "again")) {
            webhook_ = {{"headers", step.at("headers")}, {"body", step.at("body")}};
        }
        const auto name = json{step.value("verifier", json()), step.value("keys", json()),
                               flag(step, "emulator_keys")};
        auto verifier = verifiers_.find(name.dump());
        if (verifier == verifiers_.end())
            verifier = verifiers_.emplace(name.dump(), verifier_of(step)).first;
        std::vector<hoopauth::header> headers;
        for (const auto& pair : webhook_.at("headers")) {
            headers.push_back({pair.at(0).get_ref<const std::string&>(),
                               pair.at(1).get_ref<const std::string&>()});
        }
        auto delivery =
            verifier->second.verify(headers, webhook_.at("body").get_ref<const std::string&>());
        json outcome{{"type", delivery.type()},
                     {"webhook_id", delivery.id()},
                     {"account", maybe(delivery.account())},
                     {"app_id", maybe(delivery.app_id())},
                     {"key", delivery.key()}};
        const auto then = step.value("then", std::string("confirm"));
        if (then == "confirm") {
            delivery.confirm();
        } else if (then == "release") {
            delivery.release();
        } else if (then == "apply") {
            outcome["applied"] = name_of(client_.apply(delivery));
            delivery.confirm();
        } else if (then == "leave") {
            // As a process that ended: nobody gives it back.
            static std::vector<hoopauth::webhook_delivery>& left =
                *new std::vector<hoopauth::webhook_delivery>;
            left.push_back(std::move(delivery));
        } else {
            fail("unknown end " + then);
        }
        return outcome;
    }

    static std::string_view name_of(hoopauth::applied applied) { return name(applied); }

    hoopauth::webhook_verifier verifier_of(const json& step) {
        hoopauth::webhook_config config;
        const auto options = step.value("verifier", json::object());
        for (const auto& [name, value] : options.items())
            config.set(name, value.get<std::string>());
        auto keys = step.value("keys", json::array());
        if (flag(step, "emulator_keys")) {
            const auto own = hoop_.control("webhooks/keys").at("keys");
            keys.insert(keys.end(), own.begin(), own.end());
        }
        for (const auto& key : keys) {
            const auto text = [&](const char* name) { return key.at(name).get<std::string>(); };
            config.add_key(text("scheme"), text("label"), text("key"));
        }
        return client_.webhook_verifier(config);
    }

    json login(const json& step, const std::string& account) {
        if (!flag(step, "again")) {
            auto request = client_.authorization_request();
            request.set_pkce(flag(step, "pkce"));
            pending_.emplace(client_.begin(request));
            const bool challenge =
                pending_->url().find("code_challenge_method=S256") != std::string_view::npos;
            if (challenge != flag(step, "pkce")) fail("the challenge is not as the case says");
            if (flag(step, "sealed"))
                pending_.emplace(client_.open_pending(client_.seal_pending(*pending_).view()));
            redirect_ = flag(step, "deny") ? hoop_.deny(pending_->url())
                                           : hoop_.approve(pending_->url(), account);
        }
        auto redirect = redirect_;
        if (step.contains("state")) {
            if (step["state"] != "wrong") fail("unknown state");
            redirect.replace(redirect.find(pending_.value().state()), pending_->state().size(),
                             "wrong");
        }
        return {{"account", client_.complete(pending_.value(), redirect).name()}};
    }

    void issue(const std::string& account) {
        const auto pair = hoop_.control("grants", {{"account", account}});
        const auto text = [&](const char* name) { return pair.at(name).get<std::string>(); };
        grant_.emplace(account, text("access_token"));
        const auto now = hoop_.control("clock").at("now").get<std::int64_t>();
        grant_->set_refresh_token(text("refresh_token")).set_company_id(text("company_id"));
        grant_->set_expires_at(hoopauth::moment(
            std::chrono::seconds(now + pair.at("expires_in").get<std::int64_t>())));
    }

    const emulator& hoop_;
    std::shared_ptr<manual_clock> time_;
    hoopauth::client client_;
    std::optional<hoopauth::client> other_;
    std::optional<hoopauth::pending_authorization> pending_;
    std::string redirect_;
    std::optional<hoopauth::grant> grant_;
    std::map<std::string, hoopauth::webhook_verifier> verifiers_, other_verifiers_;
    json webhook_;
};

// Whether all that is expected is there; objects may hold more.
bool holds(const json& value, const json& expected) {
    if (!expected.is_object()) return value == expected;
    const auto items = expected.items();
    return std::all_of(items.begin(), items.end(), [&](const auto& part) {
        return value.is_object() && value.contains(part.key()) &&
               holds(value[part.key()], part.value());
    });
}

// `expect` is a code's name, or an object whose members the outcome must have; without it, the step
// must succeed.
void check(const json& step, const json& outcome) {
    if (!step.contains("expect")) return;
    const auto& expected = step["expect"];
    if (!expected.is_object()) fail("this succeeded: " + step.dump());
    for (const auto& [name, value] : expected.items()) {
        const bool is_part = step["do"] == "send" && (name == "body" || name == "header");
        const bool found = outcome.contains(name) &&
                           (is_part ? holds(outcome[name], value) : outcome[name] == value);
        if (!found) fail(name + " in " + step.dump() + ": " + outcome.dump());
    }
}

void check(const std::string& expected, const hoopauth::error& error) {
    if (name(error.code()) != expected) {
        fail(expected + " was expected, not " + std::string(name(error.code())) + ": " +
             error.what());
    }
}

void play(const json& one) {
    only(one, {"name", "since", "options", "steps", "expect_build"});
    const process process;
    const emulator hoop(process.line());
    hoop.control("clock", {{"frozen", true}});
    auto time =
        std::make_shared<manual_clock>(hoop.control("clock").at("now").get<std::int64_t>() * 1000);
    const auto& options = one.at("options");
    const auto& steps = one.at("steps");
    const folder folder;
    const auto make = [&] {
        hoopauth::config config;
        if (!options.contains("oauth")) {
            config.set("api_base", hoop.at("api"));
        } else if (options["oauth"] == "default") {
            for (const auto& [name, value] : oauth_options(hoop)) config.set(name, value);
        } else {
            fail("unknown app");
        }
        for (const auto& [name, value] : options.items()) {
            if (name == "oauth") continue;
            const bool file = name == "store" && value == "file";
            config.set(name,
                       file ? "sqlite:" + folder.path() + "/grants.db" : value.get<std::string>());
        }
        config.set_clock(time);
        return hoopauth::client(config);
    };
    if (one.contains("expect_build")) {
        if (!steps.empty()) fail("no steps can follow");
        try {
            make();
        } catch (const hoopauth::error& error) {
            return check(one["expect_build"].get<std::string>(), error);
        }
        fail("the client was made");
    }
    const auto is_by_other = [](const json& step) { return step.contains("by"); };
    std::optional<hoopauth::client> other;
    if (std::any_of(steps.begin(), steps.end(), is_by_other)) other.emplace(make());
    player player(hoop, time, make(), std::move(other));
    for (const auto& step : steps) {
        json outcome;
        try {
            outcome = player.step(step);
        } catch (const hoopauth::error& error) {
            if (!step.contains("expect") || !step["expect"].is_string())
                fail(step.dump() + ": " + error.what());
            check(step["expect"].get<std::string>(), error);
            continue;
        }
        check(step, outcome);
    }
}

}  // namespace

int main(int argc, char** argv) {
    curl_global_init(CURL_GLOBAL_DEFAULT);
    int passed = 0, failed = 0;
    for (int i = 1; i < argc; ++i) {
        for (const auto& one : json::parse(std::ifstream(argv[i]))) {
            const auto name = one.at("name").get<std::string>();
            try {
                play(one);
                std::printf("passed: %s\n", name.c_str());
                ++passed;
            } catch (const std::exception& error) {
                std::printf("FAILED: %s: %s\n", name.c_str(), error.what());
                ++failed;
            }
            std::fflush(stdout);
        }
    }
    std::printf("%d passed, %d failed\n", passed, failed);
    curl_global_cleanup();
    return passed > 0 && failed == 0 ? 0 : 1;
}
