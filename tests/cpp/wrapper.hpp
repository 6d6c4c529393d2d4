// What the tests of the C++ wrapper share: a store, a transport and a clock of the host's own. Made
// for both forms of it.
#ifndef HOOPAUTH_TESTS_WRAPPER_HPP
#define HOOPAUTH_TESTS_WRAPPER_HPP

#include <atomic>
#include <hoopauth.hpp>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "http.hpp"

// Counts how often an object is destroyed.
template <class T>
class counted : public T {
public:
    template <class... Arguments>
    explicit counted(std::atomic<int>& destroyed, Arguments&&... arguments)
        : T(std::forward<Arguments>(arguments)...), destroyed_(destroyed) {}
    ~counted() override { ++destroyed_; }

private:
    std::atomic<int>& destroyed_;
};

inline std::map<std::string, std::string> oauth_options(const emulator& hoop) {
    return {{"client_id", client_id},
            {"client_secret", client_secret},
            {"redirect_uri", "https://app.example/callback?from=hoop"},
            {"scopes", all_scopes},
            {"api_base", hoop.at("api")},
            {"authorize_url", hoop.at("authorize")},
            {"token_url", hoop.at("token")},
            {"location_token_url", hoop.at("location_token")},
            {"token_requests_per_minute", "1000"},
            {"store", "memory:"},
            {"store_key", "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="}};
}

inline std::vector<std::string> lines(const hoopauth::headers& headers) {
    std::vector<std::string> lines;
    for (const auto [name, value] : headers)
        lines.push_back(std::string(name) + ": " + std::string(value));
    return lines;
}

// What a store keeps, and what was asked of it.
struct memory {
    struct row {
        hoopauth::stored_row stored;
        hoopauth::listed_row listed;
    };
    std::mutex mutex;
    std::map<std::pair<std::string, std::string>, row> rows;
    std::set<std::string> claimed;
    std::uint64_t changes = 0;
    std::atomic<int> leases{0}, unleases{0}, claims{0}, slots{0};
    std::atomic<bool> busy{false};
    std::chrono::milliseconds slot_wait{0};
};

template <class Base>
class basic_store : public Base {
public:
    explicit basic_store(std::shared_ptr<memory> rows) : memory_(std::move(rows)) {}

    hoopauth::result<std::optional<hoopauth::stored_row>> load(
        const hoopauth::row_key& key) override {
        const std::lock_guard<std::mutex> lock(memory_->mutex);
        const auto found = memory_->rows.find({std::string(key.app), std::string(key.account)});
        if (found == memory_->rows.end()) return std::optional<hoopauth::stored_row>();
        return std::optional<hoopauth::stored_row>(found->second.stored);
    }

    hoopauth::result<bool> save(const hoopauth::row_key& key, std::uint64_t expected,
                                const hoopauth::new_row& row) override {
        const std::lock_guard<std::mutex> lock(memory_->mutex);
        const std::pair<std::string, std::string> name{key.app, key.account};
        const auto found = memory_->rows.find(name);
        if ((found == memory_->rows.end() ? 0 : found->second.stored.version) != expected)
            return false;
        memory_->rows[name] = {{expected + 1, std::string(row.bytes)},
                               {name.second, row.live, row.marked, row.expires_at, row.not_before}};
        ++memory_->changes;
        return true;
    }

    hoopauth::result<std::vector<hoopauth::listed_row>> list(std::string_view app) override {
        const std::lock_guard<std::mutex> lock(memory_->mutex);
        std::vector<hoopauth::listed_row> listed;
        for (const auto& [name, row] : memory_->rows) {
            if (name.first == app) listed.push_back(row.listed);
        }
        return listed;
    }

protected:
    std::shared_ptr<memory> memory_;
};

using rows_store = basic_store<hoopauth::store>;

class rows_shared_store : public basic_store<hoopauth::shared_store> {
public:
    using basic_store<hoopauth::shared_store>::basic_store;

    hoopauth::result<std::unique_ptr<hoopauth::lease>> lease(const hoopauth::row_key&,
                                                             std::chrono::milliseconds) override {
        if (memory_->busy) return std::unique_ptr<hoopauth::lease>();
        ++memory_->leases;
        return std::unique_ptr<hoopauth::lease>(new held(*memory_));
    }

    hoopauth::result<std::chrono::milliseconds> take_slot(std::string_view, std::uint32_t,
                                                          hoopauth::priority,
                                                          hoopauth::moment) override {
        if (memory_->slot_wait.count() == 0) ++memory_->slots;
        return memory_->slot_wait;
    }

    hoopauth::result<bool> claim(std::string_view, std::string_view id, hoopauth::moment until,
                                 hoopauth::moment now) override {
        CHECK(id.size() == 16 && until > now);
        ++memory_->claims;
        const std::lock_guard<std::mutex> lock(memory_->mutex);
        return memory_->claimed.emplace(id).second;
    }

    hoopauth::result<void> unclaim(std::string_view, std::string_view id) override {
        const std::lock_guard<std::mutex> lock(memory_->mutex);
        memory_->claimed.erase(std::string(id));
        return {};
    }

    hoopauth::result<std::uint64_t> changes() override {
        const std::lock_guard<std::mutex> lock(memory_->mutex);
        return memory_->changes;
    }

private:
    class held : public hoopauth::lease {
    public:
        explicit held(memory& memory) : memory_(memory) {}
        ~held() override { ++memory_.unleases; }

    private:
        memory& memory_;
    };
};

class curl_transport : public hoopauth::transport {
public:
    std::atomic<int> sent{0}, not_sent{0};
    std::optional<hoopauth::code> fail;
    std::string last_url, last_method, last_agent;
    std::size_t last_body_len = 0, last_max_body = 0;
    hoopauth::seconds last_timeout{0};

    hoopauth::result<void> send(const hoopauth::transport_request& request,
                                hoopauth::transport_response& response) override {
        if (fail) return hoopauth::error(*fail, "as the test wants it");
        if (not_sent > 0) {
            --not_sent;
            response.set_not_sent();
            return hoopauth::error(hoopauth::code::network, "no connection");
        }
        ++sent;
        last_url = request.url();
        last_method = request.method();
        last_body_len = request.body().size();
        last_max_body = request.max_body();
        last_timeout = request.timeout();
        std::vector<std::string> headers;
        for (const auto [name, value] : request) {
            headers.push_back(std::string(name) + ": " + std::string(value));
            if (name == "User-Agent" || name == "user-agent") last_agent = value;
        }
        const auto answer = ::send(request.method(), request.url(), headers, request.body());
        if (answer.result != CURLE_OK)
            return hoopauth::error(hoopauth::code::network, curl_easy_strerror(answer.result));
        CHECK(response.set_status(static_cast<std::uint16_t>(answer.status)));
        for (const auto& [name, value] : answer.headers) CHECK(response.add_header(name, value));
        // Servers send what they like: this is Latin-1.
        CHECK(response.add_header("X-Owner", "Fran\xe7ois"));
        CHECK(!response.set_status(42));
        const auto half = answer.body.size() / 2;
        CHECK(response.append_body(std::string_view(answer.body).substr(0, half)));
        CHECK(response.append_body(std::string_view(answer.body).substr(half)));
        return {};
    }
};

// A clock that stands until it is told to go on.
class manual_clock : public hoopauth::clock {
public:
    explicit manual_clock(std::int64_t now_ms) : now_(now_ms) {}
    hoopauth::moment now() noexcept override {
        return hoopauth::moment(std::chrono::milliseconds(now_ + passed_));
    }
    std::chrono::milliseconds monotonic() noexcept override {
        return std::chrono::milliseconds(1 + passed_);
    }
    void sleep(std::chrono::milliseconds duration) noexcept override { advance(duration); }
    void advance(std::chrono::milliseconds duration) noexcept { passed_ += duration.count(); }

private:
    std::int64_t now_;
    std::atomic<std::int64_t> passed_{0};
};

#endif
