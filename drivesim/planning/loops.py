"""Forked worlds: what the very kernel of the environments makes of many states and actions at once.

A *node* is a world in a few words of eight bytes: those in which something varies that its future or its rewards depend
on; `drivesim.planning.words` says which. To drive an edge, which is a node and an action, its words are put into a copy
of a template, and who is where and what the lamps show are derived anew.

Nodes are numbered by a hash table with open addressing: a dictionary would need a key of its own for each.
"""

import numpy as np

from drivesim.core.batch import price_tick
from drivesim.core.copying import copy
from drivesim.core.episode import DETAIL, describe_actions
from drivesim.core.event_table import EVENTS_FAILING
from drivesim.core.jit import entry, kernel
from drivesim.core.map import MAP, SIGNALS, junction_of
from drivesim.core.memory import BatchType, BlockType, FrameType, RowsType, opener
from drivesim.core.options import OPTIONS
from drivesim.core.signals import update_signals
from drivesim.core.tick import tick
from drivesim.core.world import DRIVING, GOING, GREEN, NEVER, RED, WORLD

_MASK = np.uint64(0xFFFFFFFF)
_SHIFT = np.uint64(32)
_FACTOR = np.uint64(0x9E3779B1)  # a prime near 2**32 divided by the golden ratio

MAX_LAMPS = 62  # that one word can tell: bit 2 * junction + axis; any others count as never red
ALL_RED = (1 << MAX_LAMPS) - 1
AS_THEY_ARE = -1  # instead of the lamps that are red

FRAME = FrameType(
    "forks",
    template=BatchType(WORLD),  # (1,), without occupants
    worlds=BatchType(WORLD),  # (R,), each of R ranges has its own
    words=RowsType("i8"),  # (R, …), the same memory word by word
    maps=BatchType(MAP),  # (1,)
    options=BlockType(OPTIONS),  # (1,)
    places=BlockType("i8"),  # (K,): where a node's words stand in a world
    masks=BlockType("i8"),  # (K,): bits of them that matter
    num_words=int,  # K
    tick=int,  # of all nodes
    red_lamps=int,  # those that are red while the others are green, or AS_THEY_ARE
    nodes=RowsType("i8"),  # (N, K)
    totals=BlockType("f8"),  # (N,) rewards so far
    edge_nodes=BlockType("i8"),  # (M,)
    edge_actions=BlockType("i8"),  # (M,) as the environment numbers them
    actions=BlockType("i8"),  # (R,), of the edges that are being driven
    details=BlockType(DETAIL),  # (max(R, N),)
    nodes_out=RowsType("i8"),  # (M, K), not written where the drive has ended
    rewards_out=BlockType("f8"),  # (M,)
    totals_out=BlockType("f8"),  # (M,)
    events_out=BlockType("i8"),  # (M,)
    ended_out=BlockType("?"),  # (M,)
    remaining_out=BlockType("i8"),  # (M,)
)
open_frame = opener(FRAME)


@kernel
def restore(frame, i, node):
    """Make world i that of a node."""
    copy(frame.template, 0, frame.worlds, i)
    words = frame.words[i]
    saved = frame.nodes[node]
    for n in range(frame.num_words):
        words[frame.places[n]] = saved[n]
    world = frame.worlds[i]
    world.tick = frame.tick
    for k in range(world.num_vehicles):
        if world.vehicles[k].status == DRIVING:
            world.occupants[world.vehicles[k].cell] = k + 1
    if frame.red_lamps == AS_THEY_ARE:
        update_signals(frame.maps[0], world)
    else:
        show_lamps(frame.maps[0], world, frame.red_lamps)


@kernel
def show_lamps(map, world, red_lamps):
    """Let the lamps of `red_lamps` show red, and all others green."""
    for s in range(map.num_junctions):
        if map.junctions[s].control == SIGNALS:
            are_told = 2 * s < MAX_LAMPS
            world.lamps[s].colour_0 = RED if are_told and red_lamps >> 2 * s & 1 == 1 else GREEN
            world.lamps[s].colour_1 = RED if are_told and red_lamps >> 2 * s + 1 & 1 == 1 else GREEN


@kernel
def is_beside_junction(map, cell):
    """Whether a junction can be entered from a cell in a single step."""
    for heading in range(4):
        if junction_of(map, cell + map.steps[heading]) >= 0:
            return True
    return False


@kernel
def forget(map, world):
    """Forget of ego 0 what can no longer matter, so that equal worlds have equal words.

    When it has cut in or backed up only says who is to blame, which has no price.
    """
    ego = world.egos[0]
    ego.cut_in_at = NEVER
    ego.reversed_at = NEVER
    ego.events_seen &= EVENTS_FAILING
    if world.vehicles[0].may_enter == 0:
        ego.granted_at = 0
    if ego.stood_at != 0 and not is_beside_junction(map, ego.stood_at):
        ego.stood_at = 0


@kernel
def save(frame, i, node_out):
    """Write the words of world i."""
    forget(frame.maps[0], frame.worlds[i])
    words = frame.words[i]
    for n in range(frame.num_words):
        node_out[n] = words[frame.places[n]] & frame.masks[n]


@entry
def save_world(argument):
    """Write the words of world 0 to the first row of `nodes_out`."""
    frame = open_frame(argument)
    save(frame, 0, frame.nodes_out[0])


@entry
def drive_edges(argument, begin, end, slot):
    """Drive the edges begin … end - 1, on world `slot`."""
    frame = open_frame(argument)
    map = frame.maps[0]
    options = frame.options[0]
    world = frame.worlds[slot]
    for e in range(begin, end):
        node = frame.edge_nodes[e]
        restore(frame, slot, node)
        ego = world.egos[0]
        ego.return_sum = frame.totals[node]
        frame.actions[slot] = frame.edge_actions[e]
        tick(map, world, options, frame.actions, slot)
        frame.rewards_out[e] = price_tick(map, world, 0, options, frame.details[slot])
        frame.totals_out[e] = ego.return_sum
        frame.events_out[e] = ego.events
        frame.remaining_out[e] = ego.remaining
        frame.ended_out[e] = ego.drive != GOING
        if ego.drive == GOING:
            save(frame, slot, frame.nodes_out[e])
    return 0


@entry
def describe_nodes(argument, begin, end, slot):
    """Write to the details of the nodes begin … end - 1 which actions do anything that IDLE would not."""
    frame = open_frame(argument)
    for node in range(begin, end):
        restore(frame, slot, node)
        describe_actions(frame.maps[0], frame.worlds[slot], 0, frame.options[0], frame.details[node].mask)


@entry
def lamps_at(argument, at):
    """Which lamps show red at a tick, if world 0 has a clock."""
    frame = open_frame(argument)
    map = frame.maps[0]
    world = frame.worlds[0]
    world.tick = at
    update_signals(map, world)
    red = 0
    for s in range(min(map.num_junctions, MAX_LAMPS // 2)):
        if map.junctions[s].control == SIGNALS:
            red |= int(world.lamps[s].colour_0 == RED) << 2 * s
            red |= int(world.lamps[s].colour_1 == RED) << 2 * s + 1
    return red


VALUES = FrameType(
    "values",
    next_nodes=BlockType("i8"),  # (S * A,) node by node, below 0 = the drive is over
    rewards=BlockType("f8"),  # (S * A,) where no lamp shows red
    rewards_on_red=BlockType("f8"),  # (S * A,)
    lamps=BlockType("i8"),  # (S * A,): at whose red the latter are earned
    red=BlockType("i8"),  # (T,): which lamps show red in every tick
    ends=BlockType("i8"),  # (T,): nodes that may have been reached by every tick
    crash=BlockType("f8"),  # (S,) what it is worth at most that somebody else ends the drive
    gamma=BlockType("f8"),  # (1,) discount
    num_actions=int,  # A
    num_ticks=int,  # T
    values=RowsType("f8"),  # (T + 1, S), of which the last row is given
)
open_values = opener(VALUES)


@kernel
def edge_value(frame, n, edge):
    """What an edge is worth that is driven in tick n."""
    reward = frame.rewards[edge]
    if frame.lamps[edge] & frame.red[n] != 0:
        reward = frame.rewards_on_red[edge]
    behind = frame.next_nodes[edge]
    if behind < 0:
        return reward
    return reward + frame.gamma[0] * frame.values[n + 1][behind]


@entry
def value_nodes(argument):
    """Fill the values of all nodes in all ticks, the last tick first."""
    frame = open_values(argument)
    for back in range(frame.num_ticks):
        n = frame.num_ticks - 1 - back
        values = frame.values[n]
        for node in range(frame.ends[n]):
            best = frame.crash[node]
            for action in range(frame.num_actions):
                best = max(best, edge_value(frame, n, node * frame.num_actions + action))
            values[node] = best


NUMBERING = FrameType(
    "numbering",
    num_words=int,  # K
    num_slots=int,  # H, a power of two and more than there will be nodes
    slots=BlockType("i8"),  # (H,): one more than the number of a node, 0 = free
    known=RowsType("u8"),  # (C, K) nodes by number
    num_known=BlockType("i8"),  # (1,)
    nodes=RowsType("u8"),  # (M, K) to be numbered
    are_wanted=BlockType("?"),  # (M,): which of them
    numbers=BlockType("i8"),  # (M,), written where they are
)
open_numbering = opener(NUMBERING)


@kernel
def slot_of(frame, node):
    """Where a node stands in the table, or the free slot where it would."""
    sum = np.uint64(0)
    for n in range(frame.num_words):
        word = np.uint64(node[n])
        sum = ((sum ^ word) & _MASK) * _FACTOR + (sum >> _SHIFT)
        sum = (((sum >> _SHIFT) ^ sum ^ (word >> _SHIFT)) & _MASK) * _FACTOR
    slot = np.int64((sum >> _SHIFT) ^ (sum & _MASK)) & (frame.num_slots - 1)
    while True:
        number = frame.slots[slot] - 1
        if number < 0:
            return slot
        known = frame.known[number]
        is_same = True
        for n in range(frame.num_words):
            if known[n] != node[n]:
                is_same = False
                break
        if is_same:
            return slot
        slot = (slot + 1) & (frame.num_slots - 1)


@entry
def enter_known(argument):
    """Enter the nodes that are known into an empty table."""
    frame = open_numbering(argument)
    for number in range(frame.num_known[0]):
        frame.slots[slot_of(frame, frame.known[number])] = number + 1


@entry
def number_nodes(argument, begin, end):
    """Number the nodes begin … end - 1; those that are not known yet become so, in this order."""
    frame = open_numbering(argument)
    for m in range(begin, end):
        if not frame.are_wanted[m]:
            continue
        node = frame.nodes[m]
        slot = slot_of(frame, node)
        if frame.slots[slot] == 0:
            number = frame.num_known[0]
            known = frame.known[number]
            for n in range(frame.num_words):
                known[n] = node[n]
            frame.num_known[0] = number + 1
            frame.slots[slot] = number + 1
        frame.numbers[m] = frame.slots[slot] - 1


@entry
def find_node(argument):
    """The number of the first of the nodes, below 0 if it is not known."""
    frame = open_numbering(argument)
    return frame.slots[slot_of(frame, frame.nodes[0])] - 1
