// SPDX-License-Identifier: Apache-2.0
#include "kernels/fsdp/checkpoint/digest.hpp"

#include <openssl/evp.h>

#include <array>
#include <fstream>
#include <vector>

#include "kernels/fsdp/checkpoint/error.hpp"

namespace assay::kernels::fsdp {
namespace {

void require(int result) {
  if (result != 1)
    throw std::runtime_error("SHA-256: expected libcrypto to compute it, found an error");
}

}  // namespace

struct Sha256::Context {
  std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> digest{EVP_MD_CTX_new(), &EVP_MD_CTX_free};
};

Sha256::Sha256() : context_(std::make_unique<Context>()) {
  require(EVP_DigestInit_ex(context_->digest.get(), EVP_sha256(), nullptr));
}

Sha256::~Sha256() = default;

void Sha256::add(std::span<const std::byte> bytes) {
  require(EVP_DigestUpdate(context_->digest.get(), bytes.data(), bytes.size()));
}

std::string Sha256::finish() {
  std::array<unsigned char, 32> value{};
  require(EVP_DigestFinal_ex(context_->digest.get(), value.data(), nullptr));
  std::string text;
  for (const unsigned char byte : value) {
    text += "0123456789abcdef"[byte >> 4];
    text += "0123456789abcdef"[byte & 15];
  }
  return text;
}

std::string sha256(std::span<const std::byte> bytes) {
  Sha256 digest;
  digest.add(bytes);
  return digest.finish();
}

std::string sha256_of_file(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  Sha256 digest;
  std::vector<char> piece(1 << 20);
  while (file) {
    file.read(piece.data(), static_cast<std::streamsize>(piece.size()));
    digest.add(std::as_bytes(std::span(piece.data(), static_cast<std::size_t>(file.gcount()))));
  }
  if (!file.eof())
    throw CheckpointError(path.string(), "to read it", "an error or no file");
  return digest.finish();
}

}  // namespace assay::kernels::fsdp
