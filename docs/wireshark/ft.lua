-- Wireshark and tshark: ft/1 and both lab dialects, on TCP port 65432.
--
--   tshark -X lua_script:docs/wireshark/ft.lua -r push.pcapng
--   wireshark -X lua_script:docs/wireshark/ft.lua push.pcapng
--
-- TCP carries bytes, not messages. So a dissector is called with whatever one segment brought, and has to say how much it
-- still needs: `pinfo.desegment_len`. Wireshark then calls again with more. naive.lua does without, and falls.
--
-- Which protocol a connection speaks is told by its first bytes, as the server does it. docs/PROTOCOL.md specifies ft/1,
-- docs/LABS.md the labs.

local PORT = 65432

-- ft/1 ---------------------------------------------------------------------------------------------------------------

local ft1 = Proto("ft1", "ft/1 file transfer")

local TYPES = {
    [0x01] = "HELLO", [0x02] = "ERROR", [0x03] = "GOODBYE",
    [0x10] = "WANT", [0x11] = "DONE", [0x12] = "ENTRY",
    [0x20] = "OFFER", [0x21] = "ACK1", [0x22] = "DATA", [0x23] = "HOLE", [0x24] = "END", [0x25] = "ACK2",
    [0x26] = "ZDATA",
    [0x80] = "ALIVE",
}
local INTENTS = { [0] = "answer", "push", "pull", "list" }
local VERDICTS = { "send", "resume", "same-meta", "same-content", "refused" }
local LEVELS = { "cached", "durable" }
local KINDS = { "file", "folder", "link" }

local f = {
    low = ProtoField.uint16("ft1.version.low", "Lowest version"),
    high = ProtoField.uint16("ft1.version.high", "Highest version"),
    preamble_crc = ProtoField.uint32("ft1.preamble.crc", "CRC32C of the preamble", base.HEX),
    length = ProtoField.uint32("ft1.length", "Length of the payload"),
    type = ProtoField.uint8("ft1.type", "Type", base.HEX, TYPES),
    flags = ProtoField.uint8("ft1.flags", "Flags", base.HEX),
    offset = ProtoField.uint64("ft1.offset", "Offset"),
    stream = ProtoField.uint32("ft1.stream", "Stream"),
    payload_crc = ProtoField.uint32("ft1.payload.crc", "CRC32C of the payload", base.HEX),
    header_crc = ProtoField.uint32("ft1.header.crc", "CRC32C of the header", base.HEX),
    intent = ProtoField.uint8("ft1.hello.intent", "Intent", base.DEC, INTENTS),
    max_streams = ProtoField.uint32("ft1.hello.max_streams", "Most streams at once"),
    agent = ProtoField.string("ft1.hello.agent", "Agent"),
    want = ProtoField.uint32("ft1.offer.want", "Want"),
    kind = ProtoField.uint8("ft1.offer.kind", "Kind", base.DEC, KINDS),
    mode = ProtoField.uint16("ft1.offer.mode", "Mode", base.OCT),
    size = ProtoField.uint64("ft1.offer.size", "Size"),
    path = ProtoField.string("ft1.path", "Path"),
    verdict = ProtoField.uint8("ft1.ack1.verdict", "Verdict", base.DEC, VERDICTS),
    level = ProtoField.uint8("ft1.level", "Level", base.DEC, LEVELS),
    root = ProtoField.bytes("ft1.root", "BLAKE3 root"),
    code = ProtoField.uint16("ft1.fault.code", "Code"),
    text = ProtoField.string("ft1.fault.text", "Text"),
    payload = ProtoField.bytes("ft1.payload", "Payload"),
}
ft1.fields = f
local bad_frame = ProtoExpert.new("ft1.bad", "Not a frame of ft/1", expert.group.MALFORMED, expert.severity.ERROR)
ft1.experts = { bad_frame }

-- Components of a path, joined with /; the tree gets it as one field. Returns the text and where it ends.
local function path(tvb, at, tree)
    local count, from, parts = tvb(at, 2):uint(), at, {}
    at = at + 2
    for _ = 1, count do
        local n = tvb(at, 2):uint()
        parts[#parts + 1] = tvb(at + 2, n):raw()
        at = at + 2 + n
    end
    local text = table.concat(parts, "/")
    tree:add(f.path, tvb(from, at - from), text)
    return text, at
end

local function fault(tvb, at, tree)
    tree:add(f.code, tvb(at, 2))
    local n = tvb(at + 3, 2):uint()
    if n > 0 then tree:add(f.text, tvb(at + 5, n)) end
end

-- What stands behind the header, by type; each returns words for the info column.
local PAYLOAD = {
    HELLO = function(tvb, tree)
        tree:add(f.intent, tvb(0, 1))
        tree:add(f.max_streams, tvb(1, 4))
        tree:add(f.agent, tvb(18, tvb(17, 1):uint()))
        return INTENTS[tvb(0, 1):uint()]
    end,
    OFFER = function(tvb, tree)
        tree:add(f.want, tvb(0, 4))
        tree:add(f.level, tvb(6, 1))
        tree:add(f.kind, tvb(7, 1))
        tree:add(f.mode, tvb(8, 2))
        tree:add(f.size, tvb(22, 8))
        return (path(tvb, 32 + tvb(30, 2):uint(), tree))
    end,
    ACK1 = function(tvb, tree)
        tree:add(f.verdict, tvb(0, 1))
        local verdict = VERDICTS[tvb(0, 1):uint()]
        if verdict == "refused" then fault(tvb, 1, tree) end
        return verdict
    end,
    END = function(tvb, tree)
        tree:add(f.root, tvb(0, 32))
    end,
    ACK2 = function(tvb, tree)
        tree:add(f.level, tvb(0, 1))
        tree:add(f.root, tvb(1, 32))
        local name = path(tvb, 33, tree)
        return name .. " " .. (LEVELS[tvb(0, 1):uint()] or "?")
    end,
    ERROR = function(tvb, tree)
        fault(tvb, 0, tree)
    end,
}

-- One preamble or frame at `at`. Returns its length and its words, or nil and how many more bytes it needs.
local function ft1_pdu(tvb, at, tree)
    local left = tvb:len() - at
    if tvb(at, 1):uint() == 0x89 then
        if left < 16 then return nil, 16 - left end
        local t = tree:add(ft1, tvb(at, 16), "ft/1 preamble")
        t:add(f.low, tvb(at + 8, 2))
        t:add(f.high, tvb(at + 10, 2))
        t:add(f.preamble_crc, tvb(at + 12, 4))
        return 16, "preamble"
    end
    if left < 28 then return nil, 28 - left end
    local length, kind = tvb(at, 4):uint(), tvb(at + 4, 1):uint()
    local name = TYPES[kind]
    -- A length is believed only within its bound: otherwise nonsense would make Wireshark collect gigabytes (FT-3).
    if length > (name == "DATA" and 1048576 or 16384) or (not name and kind < 0x80) then
        tree:add(ft1, tvb(at), "ft/1: not a frame"):add_proto_expert_info(bad_frame)
        return left, "not a frame"
    end
    if left < 28 + length then return nil, 28 + length - left end
    name = name or string.format("type %02x", kind)
    local stream = tvb(at + 16, 4):uint()
    local words = stream > 0 and (name .. " #" .. stream) or name
    local t = tree:add(ft1, tvb(at, 28 + length), "ft/1 " .. words)
    t:add(f.length, tvb(at, 4))
    t:add(f.type, tvb(at + 4, 1))
    t:add(f.flags, tvb(at + 5, 1))
    t:add(f.offset, tvb(at + 8, 8))
    t:add(f.stream, tvb(at + 16, 4))
    t:add(f.payload_crc, tvb(at + 20, 4))
    t:add(f.header_crc, tvb(at + 24, 4))
    if length > 0 then
        local payload = tvb(at + 28, length):tvb()
        if PAYLOAD[name] then
            local more = PAYLOAD[name](payload, t)
            if more then words = words .. " " .. more end
        else
            t:add(f.payload, tvb(at + 28, length))
        end
        if name == "DATA" then words = words .. " " .. length .. " bytes" end
    end
    return 28 + length, words
end

-- The labs -----------------------------------------------------------------------------------------------------------

local lab = Proto("ftlab", "File transfer lab")
local l = {
    dialect = ProtoField.string("ftlab.dialect", "Dialect"),
    command = ProtoField.string("ftlab.command", "Command"),
    name = ProtoField.string("ftlab.name", "File name"),
    size = ProtoField.uint64("ftlab.size", "Stated size"),
    answer = ProtoField.string("ftlab.answer", "Answer"),
    data = ProtoField.bytes("ftlab.data", "File data"),
    sofar = ProtoField.uint64("ftlab.sofar", "File bytes so far"),
}
lab.fields = l
local guess = ProtoExpert.new("ftlab.guess", "Nothing ends this text: its end is a guess", expert.group.PROTOCOL,
    expert.severity.NOTE)
local too_much = ProtoExpert.new("ftlab.too_much", "More bytes than the size that was stated", expert.group.PROTOCOL,
    expert.severity.WARN)
lab.experts = { guess, too_much }

local COMMANDS = { "addfile", "UPLOAD", "DOWNLOAD" }
local ANSWERS = { "ACK", "file recv\n", "file data recv\n", "OK", "NOT FOUND" }

-- `text` is the beginning of one of `all`, and not yet the whole of it.
local function unfinished(text, all)
    for _, whole in ipairs(all) do
        if #text < #whole and whole:sub(1, #text) == text then return true end
    end
    return false
end

-- What the client says in lab A: name|size, then the file. A bare size ends where its segments end: that is a guess, and
-- nobody can do better (lesson 3).
local function pipe(state, text, tvb, at, tree)
    if state.stage == "begin" then
        local name, size, stop = text:match("^(.*)|(%d+)(\r?\n?)")
        if not name then return nil, DESEGMENT_ONE_MORE_SEGMENT end
        local used = #name + 1 + #size + #stop
        local t = tree:add(lab, tvb(at, used), "Lab A metadata")
        t:add(l.dialect, "pipe"):set_generated()
        t:add(l.name, tvb(at, #name))
        t:add(l.size, tvb(at + #name + 1, #size), UInt64(tonumber(size) or 0))
        if stop == "" then t:add_proto_expert_info(guess) end
        state.stage, state.size, state.sofar = "data", tonumber(size) or 0, 0
        return used, "metadata " .. name .. ", " .. size
    end
    state.sofar = state.sofar + #text
    local t = tree:add(lab, tvb(at), "Lab A file data")
    t:add(l.data, tvb(at))
    t:add(l.sofar, UInt64(state.sofar)):set_generated()
    if state.sofar > state.size then t:add_proto_expert_info(too_much) end
    return #text, string.format("data, %d of %d bytes", state.sofar, state.size)
end

-- What the client says in lab B: command, name, data. Texts end with a line feed, or with their segment.
local function addfile(state, text, tvb, at, tree)
    if state.stage == "begin" then
        if unfinished(text, COMMANDS) then return nil, DESEGMENT_ONE_MORE_SEGMENT end
        for _, command in ipairs(COMMANDS) do
            if text:sub(1, #command) == command then
                local stop = text:match("^\r?\n", #command + 1) or ""
                local t = tree:add(lab, tvb(at, #command + #stop), "Lab B command")
                t:add(l.dialect, "addfile"):set_generated()
                t:add(l.command, tvb(at, #command))
                state.stage, state.lines = "name", stop ~= ""
                return #command + #stop, command
            end
        end
    elseif state.stage == "name" then
        local name, stop = text:match("^([^\n]*)(\n)")
        if state.lines and not name then return nil, DESEGMENT_ONE_MORE_SEGMENT end
        if not state.lines then name, stop = text, "" end
        local t = tree:add(lab, tvb(at, #name + #stop), "Lab B file name")
        t:add(l.name, tvb(at, #name))
        if stop == "" then t:add_proto_expert_info(guess) end
        state.stage, state.sofar = "data", 0
        return #name + #stop, "name " .. name
    end
    state.sofar = (state.sofar or 0) + #text
    local t = tree:add(lab, tvb(at), "Lab B file data")
    t:add(l.data, tvb(at))
    t:add(l.sofar, UInt64(state.sofar)):set_generated()
    return #text, string.format("data, %d bytes so far", state.sofar)
end

-- What the server says in either lab.
local function answers(state, text, tvb, at, tree)
    if not state.downloading then
        for _, answer in ipairs(ANSWERS) do
            if text:sub(1, #answer) == answer then
                local t = tree:add(lab, tvb(at, #answer), "Lab answer")
                local word = answer:gsub("\n", "")
                t:add(l.answer, tvb(at, #answer), word)
                state.downloading = answer == "OK"
                return #answer, word
            end
        end
        if unfinished(text, ANSWERS) then return nil, DESEGMENT_ONE_MORE_SEGMENT end
    end
    tree:add(lab, tvb(at), "Lab file data"):add(l.data, tvb(at))
    return #text, "data, " .. #text .. " bytes"
end

-- Connections --------------------------------------------------------------------------------------------------------

local chooser = Proto("ftany", "File transfer (ft/1 or a lab)")
local tcp_stream = Field.new("tcp.stream")

-- By connection: what it speaks, and for each direction how far it is. Wireshark looks at packets again and in any order,
-- so that the state before each packet is kept, too.
local connections = {}
function chooser.init() connections = {} end

local function copy(state)
    local new = {}
    for key, value in pairs(state) do new[key] = value end
    return new
end

local function speaks(text)
    if text:byte(1) == 0x89 then return "ft1" end
    for _, command in ipairs(COMMANDS) do
        if text:sub(1, #command) == command then return "addfile" end
    end
    if unfinished(text, COMMANDS) then return nil end
    return "pipe"
end

function chooser.dissector(tvb, pinfo, tree)
    local number = tcp_stream().value
    local connection = connections[number] or { c2s = { stage = "begin" }, s2c = {}, before = {} }
    connections[number] = connection
    local from_client = pinfo.dst_port == PORT
    local side = from_client and "c2s" or "s2c"
    if not connection.speaks and from_client then connection.speaks = speaks(tvb():raw()) end
    if not connection.speaks then
        pinfo.desegment_offset, pinfo.desegment_len = 0, DESEGMENT_ONE_MORE_SEGMENT
        return tvb:len()
    end
    connection.before[pinfo.number] = connection.before[pinfo.number] or copy(connection[side])
    local state = copy(connection.before[pinfo.number])
    local at, words = 0, {}
    while at < tvb:len() do
        local used, more
        if connection.speaks == "ft1" then
            used, more = ft1_pdu(tvb, at, tree)
        else
            local text = tvb(at):raw()
            local read = not from_client and answers or (connection.speaks == "pipe" and pipe or addfile)
            used, more = read(state, text, tvb, at, tree)
        end
        if not used then
            pinfo.desegment_offset, pinfo.desegment_len = at, more
            break
        end
        words[#words + 1] = more
        at = at + used
    end
    if not pinfo.visited then connection[side] = state end
    pinfo.cols.protocol = connection.speaks == "ft1" and "ft/1" or "lab " .. (connection.speaks == "pipe" and "A" or "B")
    if #words > 0 then pinfo.cols.info = table.concat(words, "; ") end
    return tvb:len()
end

DissectorTable.get("tcp.port"):add(PORT, chooser)
