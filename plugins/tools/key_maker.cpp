// SPDX-License-Identifier: Apache-2.0
#include "plugins/tools/key_maker.hpp"

#include <algorithm>
#include <array>
#include <memory>

#include <openssl/bio.h>
#include <openssl/bn.h>
#include <openssl/crypto.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

namespace rideau::tools {
namespace {

template <auto kFree>
struct Freed {
  template <class Object>
  void operator()(Object* object) const noexcept {
    kFree(object);
  }
};
using Key = std::unique_ptr<EVP_PKEY, Freed<EVP_PKEY_free>>;
using Certificate = std::unique_ptr<X509, Freed<X509_free>>;
using Stream = std::unique_ptr<BIO, Freed<BIO_free_all>>;

constexpr std::int64_t kSecondsOfDay = 86'400;
constexpr std::int64_t kEarlySeconds = 3'600;  // valid from a little before: clocks differ
constexpr int kSerialBits = 127;

bool failed(const char* what, std::string* why) {
  const char* reason = ERR_reason_error_string(ERR_peek_last_error());
  *why = std::string(what) + ": " + (reason != nullptr ? reason : "OpenSSL gives no reason");
  return false;
}

Stream stream_of(const std::string& text) {
  return Stream(BIO_new_mem_buf(text.data(), static_cast<int>(text.size())));
}

std::string text_of(BIO* stream) {
  char* bytes = nullptr;
  const long size = BIO_get_mem_data(stream, &bytes);
  return {bytes, static_cast<std::size_t>(std::max(size, 0L))};
}

Certificate certificate_of(const std::string& pem) {
  const Stream stream = stream_of(pem);
  return Certificate(PEM_read_bio_X509(stream.get(), nullptr, nullptr, nullptr));
}

bool write_pair(X509* certificate, EVP_PKEY* key, KeyPair* out) {
  const Stream open(BIO_new(BIO_s_mem()));
  const Stream secret(BIO_new(BIO_s_secmem()));
  if (open == nullptr || secret == nullptr || PEM_write_bio_X509(open.get(), certificate) != 1 ||
      PEM_write_bio_PKCS8PrivateKey(secret.get(), key, nullptr, nullptr, 0, nullptr, nullptr) != 1) {
    return false;
  }
  out->certificate = text_of(open.get());
  out->key = text_of(secret.get());
  return true;
}

bool is_address(const std::string& text) {
  ASN1_OCTET_STRING* bytes = a2i_IPADDRESS(text.c_str());
  ASN1_OCTET_STRING_free(bytes);
  return bytes != nullptr;
}

// What may stand in an extension without meaning something else there.
bool is_host_name(const std::string& text) {
  return !text.empty() && text.size() <= 253 && std::all_of(text.begin(), text.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' || c == '-' ||
           c == '_' || c == '*';
  });
}

bool extend(X509* certificate, X509* issuer, int kind, const std::string& value) {
  X509V3_CTX context;
  X509V3_set_ctx_nodb(&context);
  X509V3_set_ctx(&context, issuer, certificate, nullptr, nullptr, 0);
  X509_EXTENSION* extension = X509V3_EXT_conf_nid(nullptr, &context, kind, value.c_str());
  const bool added = extension != nullptr && X509_add_ext(certificate, extension, -1) == 1;
  X509_EXTENSION_free(extension);
  return added;
}

bool set_serial(X509* certificate) {
  BIGNUM* number = BN_new();
  const bool set = number != nullptr && BN_rand(number, kSerialBits, BN_RAND_TOP_ANY, BN_RAND_BOTTOM_ANY) == 1 &&
                   BN_to_ASN1_INTEGER(number, X509_get_serialNumber(certificate)) != nullptr;
  BN_free(number);
  return set;
}

bool set_times(X509* certificate, const Lifetime& lifetime) {
  const std::int64_t end = lifetime.now_s + lifetime.days * kSecondsOfDay;
  const std::int64_t begin = std::min(lifetime.now_s, end) - kEarlySeconds;
  return ASN1_TIME_set(X509_getm_notBefore(certificate), begin) != nullptr &&
         ASN1_TIME_set(X509_getm_notAfter(certificate), end) != nullptr;
}

// A certificate of `key` under `name`, without its extensions and not signed.
Certificate blank(const std::string& name, const Lifetime& lifetime, EVP_PKEY* key) {
  Certificate made(X509_new());
  if (made == nullptr || X509_set_version(made.get(), X509_VERSION_3) != 1 || !set_serial(made.get()) ||
      !set_times(made.get(), lifetime) || X509_set_pubkey(made.get(), key) != 1) {
    return nullptr;
  }
  X509_NAME* subject = X509_get_subject_name(made.get());
  const auto* text = reinterpret_cast<const unsigned char*>(name.c_str());
  return X509_NAME_add_entry_by_NID(subject, NID_commonName, MBSTRING_UTF8, text, -1, -1, 0) == 1 ? std::move(made)
                                                                                                  : nullptr;
}

std::string name_of(const X509_NAME* name) {
  char text[256] = "";
  X509_NAME_get_text_by_NID(name, NID_commonName, text, sizeof text);
  return text;
}

std::string alternative_names(const std::vector<std::string>& addresses) {
  std::string value;
  for (const std::string& address : addresses) {
    value += (value.empty() ? "" : ",") + std::string(is_address(address) ? "IP:" : "DNS:") + address;
  }
  return value;
}

std::vector<std::string> addresses_of(X509* certificate) {
  std::vector<std::string> addresses;
  auto* names = static_cast<GENERAL_NAMES*>(X509_get_ext_d2i(certificate, NID_subject_alt_name, nullptr, nullptr));
  for (int i = 0; i < sk_GENERAL_NAME_num(names); ++i) {
    const Stream stream(BIO_new(BIO_s_mem()));
    GENERAL_NAME_print(stream.get(), sk_GENERAL_NAME_value(names, i));
    const std::string text = text_of(stream.get());  // "DNS:name" or "IP Address:number"
    addresses.push_back(text.substr(text.find(':') + 1));
  }
  GENERAL_NAMES_free(names);
  return addresses;
}

std::string fingerprint_of(const X509* certificate) {
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned int size = 0;
  if (X509_digest(certificate, EVP_sha256(), digest, &size) != 1) return {};
  static constexpr char kDigits[] = "0123456789abcdef";
  std::string text;
  for (unsigned int i = 0; i < size; ++i) {
    if (i > 0 && i % 2 == 0) text += ' ';
    text += kDigits[digest[i] >> 4];
    text += kDigits[digest[i] & 15];
  }
  return text;
}

// ZeroMQ RFC 32.
constexpr std::size_t kCurveBytes = 32;
constexpr std::size_t kCurveDigits = 40;
constexpr char kZ85[] = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.-:+=^!/*?&<>()[]{}@%$#";
using CurveBytes = std::array<unsigned char, kCurveBytes>;

std::string z85_of(const CurveBytes& bytes) {
  std::string text;
  for (std::size_t i = 0; i < bytes.size(); i += 4) {
    std::uint32_t value = 0;
    for (std::size_t j = 0; j < 4; ++j) value = value << 8 | bytes[i + j];
    for (std::uint32_t divisor = 85 * 85 * 85 * 85; divisor > 0; divisor /= 85) text += kZ85[value / divisor % 85];
  }
  return text;
}

bool z85_bytes(const std::string& text, CurveBytes* out) {
  if (text.size() != kCurveDigits) return false;
  for (std::size_t i = 0; i < text.size(); i += 5) {
    std::uint64_t value = 0;
    for (std::size_t j = 0; j < 5; ++j) {
      const std::size_t digit = std::string_view(kZ85).find(text[i + j]);
      if (digit == std::string_view::npos) return false;
      value = value * 85 + digit;
    }
    if (value > UINT32_MAX) return false;
    for (std::size_t j = 0; j < 4; ++j) (*out)[i / 5 * 4 + j] = static_cast<unsigned char>(value >> (24 - 8 * j));
  }
  return true;
}

}  // namespace

bool make_authority(const std::string& name, const Lifetime& lifetime, KeyPair* out, std::string* why) {
  ERR_clear_error();
  const Key key(EVP_EC_gen("P-256"));
  const Certificate made = key != nullptr ? blank(name, lifetime, key.get()) : nullptr;
  X509* self = made.get();
  const bool done = self != nullptr && X509_set_issuer_name(self, X509_get_subject_name(self)) == 1 &&
                    extend(self, self, NID_basic_constraints, "critical,CA:TRUE,pathlen:0") &&
                    extend(self, self, NID_key_usage, "critical,keyCertSign,cRLSign") &&
                    extend(self, self, NID_subject_key_identifier, "hash") &&
                    X509_sign(self, key.get(), EVP_sha256()) > 0 && write_pair(self, key.get(), out);
  return done || failed("an authority cannot be made", why);
}

bool make_node_keys(const KeyPair& authority, const NodeKeyWish& wish, KeyPair* out, std::string* why) {
  ERR_clear_error();
  for (const std::string& address : wish.addresses) {
    if (is_address(address) || is_host_name(address)) continue;
    *why = "\"" + address + "\" is no name or address of a machine";
    return false;
  }
  const Certificate issuer = certificate_of(authority.certificate);
  const Stream secret = stream_of(authority.key);
  const Key issuer_key(PEM_read_bio_PrivateKey(secret.get(), nullptr, nullptr, nullptr));
  if (issuer == nullptr || issuer_key == nullptr) return failed("the keys of the authority cannot be read", why);
  if (X509_check_private_key(issuer.get(), issuer_key.get()) != 1) {
    *why = "certificate and key of the authority do not belong together";
    return false;
  }
  const Key key(EVP_EC_gen("P-256"));
  const Certificate made = key != nullptr ? blank(wish.name, wish.lifetime, key.get()) : nullptr;
  X509* node = made.get();
  if (node != nullptr && ASN1_TIME_compare(X509_get0_notAfter(node), X509_get0_notAfter(issuer.get())) > 0) {
    X509_set1_notAfter(node, X509_get0_notAfter(issuer.get()));
  }
  const bool serves = !wish.addresses.empty();
  const bool done = node != nullptr && X509_set_issuer_name(node, X509_get_subject_name(issuer.get())) == 1 &&
                    extend(node, issuer.get(), NID_basic_constraints, "critical,CA:FALSE") &&
                    extend(node, issuer.get(), NID_key_usage, "critical,digitalSignature") &&
                    extend(node, issuer.get(), NID_ext_key_usage, serves ? "serverAuth,clientAuth" : "clientAuth") &&
                    extend(node, issuer.get(), NID_subject_key_identifier, "hash") &&
                    extend(node, issuer.get(), NID_authority_key_identifier, "keyid:always") &&
                    (!serves || extend(node, issuer.get(), NID_subject_alt_name, alternative_names(wish.addresses))) &&
                    X509_sign(node, issuer_key.get(), EVP_sha256()) > 0 && write_pair(node, key.get(), out);
  return done || failed("a certificate cannot be made", why);
}

bool read_certificate(const std::string& pem, CertificateFacts* out, std::string* why) {
  ERR_clear_error();
  const Certificate read = certificate_of(pem);
  if (read == nullptr) return failed("no certificate", why);
  out->name = name_of(X509_get_subject_name(read.get()));
  out->issuer = name_of(X509_get_issuer_name(read.get()));
  out->is_authority = X509_check_ca(read.get()) > 0;
  out->addresses = addresses_of(read.get());
  tm parts{};
  char date[16] = "?";
  if (ASN1_TIME_to_tm(X509_get0_notAfter(read.get()), &parts) == 1) {
    strftime(date, sizeof date, "%Y-%m-%d", &parts);
    out->ends_s = timegm(&parts);
  }
  out->end_date = date;
  out->fingerprint = fingerprint_of(read.get());
  return true;
}

bool is_made_by(const std::string& certificate_pem, const std::string& authority_pem) {
  const Certificate made = certificate_of(certificate_pem);
  const Certificate by = certificate_of(authority_pem);
  return made != nullptr && by != nullptr && X509_verify(made.get(), X509_get0_pubkey(by.get())) == 1;
}

bool make_curve_pair(CurvePair* out, std::string* why) {
  ERR_clear_error();
  const Key key(EVP_PKEY_Q_keygen(nullptr, nullptr, "X25519"));
  CurveBytes bytes{};
  std::size_t size = bytes.size();
  if (key == nullptr || EVP_PKEY_get_raw_private_key(key.get(), bytes.data(), &size) != 1) {
    return failed("a CURVE key cannot be made", why);
  }
  out->secret = z85_of(bytes);
  OPENSSL_cleanse(bytes.data(), bytes.size());
  out->open = curve_public(out->secret);
  return !out->open.empty() || failed("a CURVE key cannot be made", why);
}

std::string curve_public(const std::string& secret) {
  CurveBytes bytes{};
  if (!z85_bytes(secret, &bytes)) return {};
  const Key key(EVP_PKEY_new_raw_private_key(EVP_PKEY_X25519, nullptr, bytes.data(), bytes.size()));
  std::size_t size = bytes.size();
  if (key == nullptr || EVP_PKEY_get_raw_public_key(key.get(), bytes.data(), &size) != 1) return {};
  return z85_of(bytes);
}

}  // namespace rideau::tools
