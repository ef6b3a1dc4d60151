-- Lab A for Wireshark, as a first attempt looks: what one segment brought is taken for one message.
--
--   tshark -X lua_script:docs/wireshark/naive.lua -r header.pcapng
--
-- It works on every capture of a quiet localhost. Exercise: play it a capture in which the header arrives in two pieces
-- (README.md), read what it says, and repair it. ft.lua is an answer.

local naive = Proto("naive", "Lab A, naive")
local name_field = ProtoField.string("naive.name", "File name")
local size_field = ProtoField.uint64("naive.size", "Stated size")
naive.fields = { name_field, size_field }

local seen = {}
local tcp_stream = Field.new("tcp.stream")
function naive.init() seen = {} end

function naive.dissector(tvb, pinfo, tree)
    pinfo.cols.protocol = "naive"
    local stream = tcp_stream().value
    local from_client = pinfo.dst_port == 65432
    local first = seen[stream] == nil or seen[stream] == pinfo.number
    if not (from_client and first) then return end
    seen[stream] = pinfo.number

    local name, size = tvb():raw():match("^(.*)|(%d+)$")
    local t = tree:add(naive, tvb(), "Lab A metadata")
    t:add(name_field, tvb(0, #name))
    t:add(size_field, tvb(#name + 1, #size), UInt64(tonumber(size)))
    pinfo.cols.info = "metadata " .. name .. ", " .. size
end

DissectorTable.get("tcp.port"):add(65432, naive)
