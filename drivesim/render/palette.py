"""The colours of the pictures, RGB in 0 … 255.

What a viewer must tell apart is taken from the palette of Okabe and Ito (*Color Universal Design*, 2008), which
people with any of the common forms of colour blindness can tell apart too; ground and markings are muted, so that
cars, obstacles and lamps stand out by brightness as well.
"""

Colour = tuple[int, int, int]

# --- Okabe and Ito ------------------------------------------------------------------------------------------------
ORANGE: Colour = (230, 159, 0)
SKY_BLUE: Colour = (86, 180, 233)
BLUISH_GREEN: Colour = (0, 158, 115)
YELLOW: Colour = (240, 228, 66)
BLUE: Colour = (0, 114, 178)
VERMILION: Colour = (213, 94, 0)
PURPLE: Colour = (204, 121, 167)

# --- vehicles and people ------------------------------------------------------------------------------------------
EGO: Colour = YELLOW
EGO_OUTLINE: Colour = (255, 255, 255)
TRAFFIC: tuple[Colour, ...] = (SKY_BLUE, BLUE, (176, 214, 238))  # by the vehicle's number
TRUCK_BOX: Colour = (228, 231, 235)
PARKED: Colour = (172, 176, 182)
HAZARD: Colour = ORANGE  # blinkers of a parked car
OUTLINE: Colour = (32, 34, 40)
GLASS: Colour = (30, 42, 58)
HEADLIGHT: Colour = (255, 250, 220)
TAIL_LIGHT: Colour = (120, 26, 22)
BRAKE_LIGHT: Colour = (255, 48, 32)
INDICATOR: Colour = (255, 150, 0)
ROUTE: Colour = YELLOW  # the ego's way, on the ground
SALIENCY: Colour = PURPLE  # cells that matter most to the driver
SCORCHED: Colour = (62, 54, 50)
SMOKE: Colour = (48, 46, 48)
FLAME: Colour = VERMILION
FLAME_CORE: Colour = (255, 214, 92)
WAKE: Colour = (225, 228, 235)
PEDESTRIAN: Colour = PURPLE
SKIN: Colour = (248, 220, 190)

SPEEDS: tuple[Colour, ...] = (  # backwards, then 0 … 5 cells per tick
    PURPLE,
    *((level, level, level) for level in (0, 51, 102, 153, 204, 255)),
)

# --- signals ------------------------------------------------------------------------------------------------------
LAMPS: tuple[Colour, Colour, Colour] = (BLUISH_GREEN, YELLOW, VERMILION)  # GREEN, YELLOW, RED of core.world
LAMP_OFF: Colour = (58, 60, 66)
LAMP_HOUSING: Colour = (18, 19, 22)

# --- ground -------------------------------------------------------------------------------------------------------
GRASS: Colour = (119, 150, 95)
GRASS_DARK: Colour = (108, 139, 86)
BUSH: Colour = (74, 108, 62)
BUSH_LIGHT: Colour = (92, 128, 74)
VERGE: Colour = (158, 150, 122)
ASPHALT: Colour = (74, 77, 84)
OPEN_GROUND: Colour = (92, 95, 101)
JOINT: Colour = (80, 83, 89)  # between the slabs of open ground
SHOULDER: Colour = (116, 114, 112)
BAY: Colour = (84, 92, 108)
MARKING: Colour = (236, 236, 230)
DIVIDER: Colour = (246, 196, 66)  # between opposing lanes
GUIDE: Colour = (112, 116, 124)  # the centre of a lane that is several cells wide
BARRIER: Colour = VERMILION
BARRIER_STRIPE: Colour = (248, 246, 240)
CHECKER_LIGHT: Colour = (244, 244, 240)
CHECKER_DARK: Colour = (26, 28, 32)
