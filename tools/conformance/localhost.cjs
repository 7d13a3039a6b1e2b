// Names below localhost are this machine (RFC 6761, 6.3). Browsers, curl and Postman know that;
// Node.js asks the system, which on a plain Debian does not. For `node --require`.
const dns = require("dns");
const { lookup } = dns;

dns.lookup = (name, ...rest) => lookup(name.endsWith(".localhost") ? "127.0.0.1" : name, ...rest);
