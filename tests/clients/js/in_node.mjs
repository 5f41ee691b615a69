// One JWKS client from npm: reads tokens from standard input, answers what it makes of each, a line of JSON for one.
// node in_node.mjs NAME URL

import { readFileSync } from 'node:fs'
import { createInterface } from 'node:readline'

const [name, url] = process.argv.slice(2)
const issuer = url.split('/.well-known/')[0]
const audience = 'api'
const PAUSE_SECONDS = 61

// Each takes nothing and gives a function: a token and its alg in, its claims out, or an exception.
const clients = {
  async jose() {
    const { createRemoteJWKSet, jwtVerify } = await import('jose')
    const keys = createRemoteJWKSet(new URL(url), { cooldownDuration: 0 })
    return async (token, alg) => (await jwtVerify(token, keys, { algorithms: [alg], issuer, audience })).payload
  },

  async 'jwks-rsa'() {
    const { JwksClient } = await import('jwks-rsa')
    const client = new JwksClient({ jwksUri: url })
    return pemVerifier(async (kid) => (await client.getSigningKey(kid)).getPublicKey())
  },

  async 'get-jwks'() {
    const { default: buildGetJwks } = await import('get-jwks')
    const getJwks = buildGetJwks()
    return pemVerifier((kid, alg) => getJwks.getPublicKey({ domain: issuer, alg, kid }))
  },

  async 'aws-jwt-verify'() {
    const { JwtVerifier } = await import('aws-jwt-verify')
    const { SimpleJwksCache } = await import('aws-jwt-verify/jwk')
    // Its own fetcher speaks https only.
    const fetcher = { fetch: async (uri) => (await fetch(uri)).arrayBuffer() }
    const verifier = JwtVerifier.create({ issuer, audience, jwksUri: url }, { jwksCache: new SimpleJwksCache({ fetcher }) })
    return (token) => verifier.verify(token)
  },

  async 'express-oauth2-jwt-bearer'() {
    const { auth } = await import('express-oauth2-jwt-bearer')
    const handlers = new Map()
    return (token, alg) => {
      if (!handlers.has(alg)) {
        handlers.set(alg, auth({ issuer, audience, jwksUri: url, tokenSigningAlg: alg, cooldownDuration: 0 }))
      }
      const headers = { authorization: `Bearer ${token}`, host: 'localhost' }
      const get = (header) => headers[header.toLowerCase()]
      const request = { method: 'GET', protocol: 'http', originalUrl: '/', headers, query: {}, get, is: () => false }
      return new Promise((resolve, reject) => {
        handlers.get(alg)(request, {}, (error) => (error ? reject(error) : resolve(request.auth.payload)))
      })
    }
  },

  async oauth4webapi() {
    const oauth = await import('oauth4webapi')
    const cache = {}
    const verify = (token, alg) => {
      const request = new Request(issuer, { headers: { authorization: `Bearer ${token}` } })
      const options = { [oauth.allowInsecureRequests]: true, [oauth.jwksCache]: cache, signingAlgorithms: [alg] }
      return oauth.validateJwtAccessToken({ issuer, jwks_uri: url }, request, audience, options)
    }
    return onceMore(verify, () => (cache.uat -= PAUSE_SECONDS))
  },

  async 'openid-client'() {
    const oidc = await import('openid-client')
    let cache
    const verify = async (token, alg) => {
      const server = { issuer, jwks_uri: url, token_endpoint: `${issuer}/token` }
      const config = new oidc.Configuration(server, audience, { id_token_signed_response_alg: alg })
      oidc.allowInsecureRequests(config)
      oidc.enableNonRepudiationChecks(config)
      if (cache) oidc.setJwksCache(config, cache)
      // The token comes from its issuer's token endpoint, which is made up; the set comes from the server under test.
      config[oidc.customFetch] = (uri, options) =>
        uri === server.token_endpoint
          ? Response.json({ access_token: 'a', token_type: 'bearer', id_token: token })
          : fetch(uri, options)
      try {
        return (await oidc.genericGrantRequest(config, 'urn:example', {})).claims()
      } finally {
        cache = oidc.getJwksCache(config) ?? cache
      }
    }
    return onceMore(verify, () => (cache = { ...cache, uat: cache.uat - PAUSE_SECONDS }))
  },
}

// jsonwebtoken verifies with the PEM that the client finds.
async function pemVerifier(find) {
  const { default: jsonwebtoken } = await import('jsonwebtoken')
  return async (token, alg) => {
    const { kid } = JSON.parse(Buffer.from(token.split('.')[0], 'base64url'))
    return jsonwebtoken.verify(token, await find(kid, alg), { algorithms: [alg], issuer, audience })
  }
}

// Some ask for a new kid only a minute after their last question: that minute is taken from their cache's age.
function onceMore(verify, age) {
  return async (token, alg) => {
    try {
      return await verify(token, alg)
    } catch (error) {
      if (!/matching|applicable/.test(`${error.message} ${error.cause?.message}`)) throw error
      age()
      return verify(token, alg)
    }
  }
}

const answer = (document) => process.stdout.write(`${JSON.stringify(document)}\n`)
const verify = await clients[name]()
const installed = new URL(`node_modules/${name}/package.json`, import.meta.url)
answer({ version: JSON.parse(readFileSync(installed)).version })
for await (const line of createInterface({ input: process.stdin })) {
  const { token, alg } = JSON.parse(line)
  try {
    answer({ sub: (await verify(token, alg)).sub })
  } catch (error) {
    answer({ error: `${error.name}: ${error.message} ${error.cause?.message ?? ''}`.trim() })
  }
}
