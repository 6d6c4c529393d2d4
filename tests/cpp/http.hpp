// What the C++ test programs share: HTTP by libcurl, the emulator's addresses and control, and
// checks that count.
#ifndef HOOPAUTH_TESTS_HTTP_HPP
#define HOOPAUTH_TESTS_HTTP_HPP

#include <curl/curl.h>

#include <cstdio>
#include <cstdlib>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#define CHECK(held)                                                         \
    do {                                                                    \
        if (!(held)) {                                                      \
            std::fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #held); \
            std::exit(1);                                                   \
        }                                                                   \
    } while (false)

struct answer {
    CURLcode result = CURLE_OK;
    long status = 0;
    std::string body;
    std::vector<std::pair<std::string, std::string>> headers;

    std::string header(std::string_view name) const {
        for (const auto& [one, value] : headers) {
            if (one == name) return value;
        }
        return {};
    }
};

inline std::size_t take_body(char* data, std::size_t, std::size_t size, void* into) {
    static_cast<answer*>(into)->body.append(data, size);
    return size;
}

inline std::size_t take_header(char* data, std::size_t, std::size_t size, void* into) {
    const std::string_view line(data, size);
    const auto colon = line.find(':');
    if (colon != std::string_view::npos) {
        std::string name(line.substr(0, colon));
        for (char& c : name) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
        auto value = line.substr(colon + 1);
        while (!value.empty() && (value.front() == ' ')) value.remove_prefix(1);
        while (!value.empty() && (value.back() == '\r' || value.back() == '\n'))
            value.remove_suffix(1);
        static_cast<answer*>(into)->headers.emplace_back(std::move(name), value);
    }
    return size;
}

// `headers` is a list of "Name: value". Redirects are not followed.
inline answer send(std::string_view method, std::string_view url,
                   const std::vector<std::string>& headers = {}, std::string_view body = {}) {
    std::unique_ptr<CURL, void (*)(CURL*)> curl(curl_easy_init(), curl_easy_cleanup);
    CHECK(curl);
    curl_slist* list = nullptr;
    for (const auto& header : headers) list = curl_slist_append(list, header.c_str());
    const std::unique_ptr<curl_slist, void (*)(curl_slist*)> owned(list, curl_slist_free_all);
    answer answer;
    curl_easy_setopt(curl.get(), CURLOPT_URL, std::string(url).c_str());
    curl_easy_setopt(curl.get(), CURLOPT_CUSTOMREQUEST, std::string(method).c_str());
    curl_easy_setopt(curl.get(), CURLOPT_HTTPHEADER, list);
    curl_easy_setopt(curl.get(), CURLOPT_PROXY, "");
    curl_easy_setopt(curl.get(), CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl.get(), CURLOPT_WRITEFUNCTION, take_body);
    curl_easy_setopt(curl.get(), CURLOPT_WRITEDATA, &answer);
    curl_easy_setopt(curl.get(), CURLOPT_HEADERFUNCTION, take_header);
    curl_easy_setopt(curl.get(), CURLOPT_HEADERDATA, &answer);
    if (!body.empty()) {
        curl_easy_setopt(curl.get(), CURLOPT_POSTFIELDSIZE, static_cast<long>(body.size()));
        curl_easy_setopt(curl.get(), CURLOPT_COPYPOSTFIELDS, body.data());
    }
    answer.result = curl_easy_perform(curl.get());
    curl_easy_getinfo(curl.get(), CURLINFO_RESPONSE_CODE, &answer.status);
    return answer;
}

// The emulator, by the JSON line of its addresses.
class emulator {
public:
    explicit emulator(const std::string& line) : addresses_(nlohmann::json::parse(line)) {}

    std::string at(const char* name) const { return addresses_.at(name).get<std::string>(); }

    // Calls the control API; a refusal fails the test.
    nlohmann::json control(std::string_view call, const nlohmann::json& body = nullptr) const {
        const bool get = body.is_null();
        const answer answer = send(get ? "GET" : "POST", at("control") + "/" + std::string(call),
                                   {}, get ? std::string() : body.dump());
        if (answer.result != CURLE_OK || answer.status != 200) {
            std::fprintf(stderr, "control %.*s: %ld %s\n", static_cast<int>(call.size()),
                         call.data(), answer.status, answer.body.c_str());
            std::exit(1);
        }
        return nlohmann::json::parse(answer.body);
    }

    // Chooses an account at the authorize page and answers the URL that the browser is sent to.
    std::string approve(std::string_view url, std::string_view account) const {
        return redirected(std::string(url) + "&approve=" + std::string(account));
    }

    std::string deny(std::string_view url) const {
        return redirected(std::string(url) + "&deny=1");
    }

private:
    static std::string redirected(const std::string& url) {
        const answer answer = send("GET", url);
        CHECK(answer.status == 302);
        return answer.header("location");
    }

    nlohmann::json addresses_;
};

constexpr const char* client_id = "65f0a1b2c3d4e5f607182930-hoopdev1";
constexpr const char* client_secret = "3f9c2d1e-7b54-4a60-9d8e-1f2a3b4c5d6e";
constexpr const char* all_scopes =
    "contacts.readonly contacts.write conversations.readonly conversations.write "
    "calendars.readonly calendars.write "
    "opportunities.readonly opportunities.write locations.readonly companies.readonly "
    "oauth.readonly oauth.write";

#endif
