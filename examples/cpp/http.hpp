// How the C++ examples send: libcurl, with the headers of hoopauth. Redirects are not followed.
#ifndef EXAMPLE_HTTP_HPP
#define EXAMPLE_HTTP_HPP

#include <curl/curl.h>

#include <cstdint>
#include <hoopauth.hpp>
#include <memory>
#include <stdexcept>
#include <string>

struct answer {
    std::uint16_t status = 0;
    std::string body;
    std::string location;  // where a redirect leads
};

inline std::size_t append(char* data, std::size_t, std::size_t size, void* body) {
    static_cast<std::string*>(body)->append(data, size);
    return size;
}

// Sends a request; an empty body is none.
inline answer send(const std::string& method, const std::string& url,
                   const hoopauth::headers* headers = nullptr, const std::string& body = {}) {
    const std::unique_ptr<CURL, void (*)(CURL*)> curl(curl_easy_init(), curl_easy_cleanup);
    std::unique_ptr<curl_slist, void (*)(curl_slist*)> list(nullptr, curl_slist_free_all);
    if (!curl) throw std::runtime_error("libcurl does not start");
    if (headers) {
        for (const auto [name, value] : *headers) {
            const std::string line = std::string(name) + ": " + std::string(value);
            curl_slist* longer = curl_slist_append(list.get(), line.c_str());
            if (!longer) throw std::bad_alloc();
            (void)list.release();
            list.reset(longer);
        }
    }
    answer answer;
    curl_easy_setopt(curl.get(), CURLOPT_URL, url.c_str());
    curl_easy_setopt(curl.get(), CURLOPT_CUSTOMREQUEST, method.c_str());
    curl_easy_setopt(curl.get(), CURLOPT_HTTPHEADER, list.get());
    curl_easy_setopt(curl.get(), CURLOPT_TIMEOUT, 30L);
    curl_easy_setopt(curl.get(), CURLOPT_WRITEFUNCTION, append);
    curl_easy_setopt(curl.get(), CURLOPT_WRITEDATA, &answer.body);
    if (!body.empty()) curl_easy_setopt(curl.get(), CURLOPT_POSTFIELDS, body.c_str());
    const CURLcode sent = curl_easy_perform(curl.get());
    if (sent != CURLE_OK) throw std::runtime_error(url + ": " + curl_easy_strerror(sent));
    long status = 0;
    const char* location = nullptr;
    curl_easy_getinfo(curl.get(), CURLINFO_RESPONSE_CODE, &status);
    curl_easy_getinfo(curl.get(), CURLINFO_REDIRECT_URL, &location);
    answer.status = static_cast<std::uint16_t>(status);
    if (location) answer.location = location;
    return answer;
}

#endif
