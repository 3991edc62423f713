// An agent of ours on the published OpAMP client for Node.js. It prints one JSON object a line for everything
// that happens, so that a test in another language can follow it, and ends on SIGTERM.
//
//   node client.js capabilities                   which capabilities the library takes and which it refuses
//   node client.js URL UID HEARTBEAT-SECONDS      run; OPAMP_TOKEN holds the bearer token of this agent, or
//                                                 OPAMP_CERT and OPAMP_KEY name files with its certificate and key
//
// Its configuration is JSON: {"log_level": "debug" | "info" | "error"}, in one or several objects. Anything else
// is refused as a whole, with the reason.
'use strict';

const {subscribe} = require('node:diagnostics_channel');
const {readFileSync} = require('node:fs');
const opamp = require('@elastic/opamp-client-node');

const LEVELS = ['debug', 'info', 'error'];

function say(event, fields) {
    const plain = (_, value) => (typeof value === 'bigint' ? Number(value) : value);
    process.stdout.write(JSON.stringify({event, ...fields}, plain) + '\n');
}

function words(error) {
    return error instanceof Error ? [error.message, error.code].filter(Boolean).join(' ') : String(error);
}

function hex(bytes) {
    return Buffer.from(bytes).toString('hex');
}

/** Offer the library each capability alone; building a client asks nobody anything. */
function tryCapabilities() {
    const names = Object.keys(opamp.AgentCapabilities).filter((name) => name.startsWith('AgentCapabilities_'));
    for (const name of names) {
        try {
            opamp.createOpAMPClient({
                endpoint: 'https://localhost/v1/opamp',
                capabilities: BigInt(opamp.AgentCapabilities[name]),
            });
            say('taken', {name: name.replace('AgentCapabilities_', '')});
        } catch (error) {
            say('refused', {name: name.replace('AgentCapabilities_', ''), error: words(error)});
        }
    }
}

/** Return the settings that a remote configuration holds; throw what is wrong with it. */
function understand(remoteConfig) {
    const settings = {};
    for (const [key, object] of Object.entries(remoteConfig.config.configMap)) {
        for (const [name, value] of Object.entries(JSON.parse(Buffer.from(object.body).toString('utf8')))) {
            if (name !== 'log_level') {
                throw new Error(`${key}: unknown setting ${name}`);
            }
            if (!LEVELS.includes(value)) {
                throw new Error(`${key}: log_level is ${value}`);
            }
            settings[name] = value;
        }
    }
    return settings;
}

function follow(client, remoteConfig) {
    const status = {lastRemoteConfigHash: remoteConfig.configHash};
    try {
        const settings = understand(remoteConfig);
        client.setRemoteConfigStatus({
            ...status,
            status: opamp.RemoteConfigStatuses.RemoteConfigStatuses_APPLIED,
            errorMessage: '',
        });
        say('applied', {hash: hex(remoteConfig.configHash), settings});
    } catch (error) {
        client.setRemoteConfigStatus({
            ...status,
            status: opamp.RemoteConfigStatuses.RemoteConfigStatuses_FAILED,
            errorMessage: words(error),
        });
        say('refused', {hash: hex(remoteConfig.configHash), error: words(error)});
    }
}

/** Return what this agent proves itself with, as options of the client. */
function credential() {
    const {OPAMP_TOKEN, OPAMP_CERT, OPAMP_KEY} = process.env;
    return OPAMP_TOKEN
        ? {headers: {Authorization: `Bearer ${OPAMP_TOKEN}`}}
        : {connect: {cert: readFileSync(OPAMP_CERT), key: readFileSync(OPAMP_KEY)}};
}

function run(endpoint, instanceUid, heartbeat) {
    const client = opamp.createOpAMPClient({
        endpoint,
        instanceUid,
        heartbeatIntervalSeconds: Number(heartbeat),
        capabilities: BigInt(
            opamp.AgentCapabilities.AgentCapabilities_AcceptsRemoteConfig |
                opamp.AgentCapabilities.AgentCapabilities_ReportsRemoteConfig
        ),
        ...credential(),
        diagEnabled: true,
        onMessage: ({remoteConfig}) => remoteConfig && follow(client, remoteConfig),
    });
    subscribe(opamp.DIAG_CH_SEND_SUCCESS, ({a2s, s2a}) =>
        say('answered', {sequence: a2s.sequenceNum, capabilities: s2a.capabilities, flags: s2a.flags})
    );
    subscribe(opamp.DIAG_CH_SEND_FAIL, ({err, retryAfterMs}) => say('failed', {error: words(err), retryAfterMs}));
    subscribe(opamp.DIAG_CH_SEND_SCHEDULE, ({delayMs, errCount}) =>
        say('scheduled', {seconds: delayMs / 1000, failures: errCount})
    );
    client.setAgentDescription({
        identifyingAttributes: {'service.name': 'node-agent', 'service.version': '1.0.0'},
        nonIdentifyingAttributes: {'os.type': 'linux', 'process.runtime.name': 'nodejs'},
    });
    client.start();
    // The library's timers keep no process alive; this one does, until the process is told to end.
    const alive = setInterval(() => {}, 60_000);
    process.on('SIGTERM', () => {
        clearInterval(alive);
        client.shutdown().then(() => say('ended', {}));
    });
}

if (process.argv[2] === 'capabilities') {
    tryCapabilities();
} else {
    run(...process.argv.slice(2));
}
