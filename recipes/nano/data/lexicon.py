"""What is written in nano's pictures: frequent English words of 3 to 9 letters, numbers, prices, times, dates."""

import random

GOODS = """apple apples bacon bagel banana beans beef berries biscuit bread broccoli bun burger butter cabbage
cake candy carrot carrots cereal cheese cherry chicken chips chocolate cocoa coconut coffee cookie cookies corn
cracker cream cucumber donut egg eggs fish flour fruit garlic ginger grape grapes ham honey jam jelly juice
ketchup lemon lemons lettuce lime mango meat melon milk mint muffin mushroom mustard noodles nuts oats oil olive
olives onion onions orange oranges pasta pastry peach peanut pear pears peas pepper pie pizza plum pork potato
potatoes pumpkin radish raisin rice salad salmon salt sandwich sauce sausage shrimp soap soda soup spinach steak
sugar syrup tea toast tofu tomato tomatoes tuna turkey vanilla vinegar waffle walnut water wheat yogurt napkin
tissue shampoo sponge candle battery bulb pencil paper""".split()

THINGS = """bag ball balloon banner barrel basket bath bell belt bench bike blanket blouse board boat bolt book
boots bottle bowl box bracelet brick bridge broom brush bucket bus button cable camera can cap car card carpet
cart chain chair chalk clock cloth coat coin comb computer cord couch crown cup curtain cushion desk dish doll
door drawer dress drill drum engine envelope eraser fan fence ferry file flag flower folder fork frame fridge
game garage gate gift glass glasses globe glove gloves glue gown guitar hammer handle hat heater helmet hinge
hook hose ink iron jacket jar jeans jewel jug kettle key keys keyboard kite knife label ladder lamp laptop leaf
letter lid light lock locker magazine magnet mail map mask match mattress medal mirror mitten monitor motor
mouse mug nail necklace needle net notebook oven package paint painting pan pants parcel pen phone photo piano
picture pillow pin pipe plane plant plate plug pocket poster pot printer purse puzzle radio rail razor ribbon
ring robot rocket rope ruler sack saddle sail sandal saw scale scarf scissors screen screw seat sheet shelf
shell ship shirt shoe shoes shorts shovel sink skate sketch skirt sled slipper socks sofa speaker spoon stairs
stamp stapler stool stove suit suitcase sweater switch sword table tape tent ticket tie tile tire toaster toilet
tool tools towel tower toy tractor train tray truck trumpet tube umbrella vase vest violin wagon wall wallet
watch wheel whistle window wire wrench zipper""".split()

ANIMALS = """ant bat bear beaver bee beetle bird buffalo bull bunny butterfly camel cat chick cow crab crow deer
dog dolphin donkey dove duck eagle elephant elk falcon fox frog giraffe goat goose gorilla hamster hare hawk hen
heron horse insect kangaroo kitten koala lamb leopard lion lizard lobster mole monkey moose moth mule octopus
ostrich otter owl panda parrot peacock penguin pig pigeon pony puppy rabbit raccoon rat raven robin rooster seal
shark sheep snail snake sparrow spider squirrel swan tiger toad turtle wasp whale wolf worm zebra""".split()

PLACES = """airport attic avenue bakery bank bar barn base beach bedroom building cabin cafe camp canal canyon
castle cave cellar center church cinema city clinic club coast college corner country court desert dock farm
field floor forest garden gym hall harbor hill hospital hotel house island jungle kitchen lab lake library lobby
lodge mall market meadow mill motel mountain museum ocean office palace park path pharmacy pier platform plaza
pond pool port prison pub river road room salon school shop square stadium station store street studio suburb
subway temple terminal theater town trail tunnel valley village yard zoo""".split()

PEOPLE = """actor adult artist aunt author baby baker barber boss boy brother buyer captain chef child clerk
client coach cousin crew dad dancer daughter dentist doctor driver editor engineer family farmer father friend
girl guard guest guide hero host husband judge kid king lady lawyer leader manager mayor mother neighbor nurse
officer owner parent partner patient people person pilot player poet police prince queen rider sailor scientist
singer sister soldier son speaker student teacher team tenant tourist trainer twin uncle visitor waiter wife
winner woman worker writer""".split()

NAMES = """Adam Alan Alex Alice Amy Andrew Anna Anthony Arthur Ben Beth Bill Bob Brian Carl Carol Charles Chris
Claire Dan Daniel David Diana Dora Edward Elena Ella Emily Emma Eric Eva Felix Fiona Frank Fred George Grace
Greg Hannah Harry Helen Henry Hugo Ian Irene Isaac Ivan Jack Jacob James Jane Jason Jean Jenny Jim Joe John
Joseph Julia Karen Kate Keith Kelly Kevin Laura Leo Linda Lisa Louis Lucy Luke Maria Mark Martin Mary Matthew
Max Megan Michael Mike Mona Nancy Nathan Nick Nina Nora Oliver Olivia Oscar Pam Patrick Paul Paula Peter Philip
Rachel Ralph Rebecca Richard Rita Robert Rosa Ruth Ryan Sam Sandra Sara Sean Simon Sophia Stephen Steve Susan
Thomas Tim Tina Tom Tony Victor Walter Wendy William Zoe""".split()

CITIES = """Athens Austin Berlin Boston Brussels Cairo Chicago Cologne Dallas Delhi Denver Dublin Florence
Geneva Hamburg Havana Helsinki Houston Istanbul Kyoto Lagos Lima Lisbon London Madrid Manila Miami Milan
Montreal Moscow Mumbai Munich Nairobi Naples Osaka Oslo Ottawa Oxford Paris Phoenix Prague Rome Seattle Seoul
Shanghai Sydney Tokyo Toronto Venice Vienna Warsaw Zurich Canada China Egypt France Germany India Italy Japan
Kenya Mexico Norway Peru Spain Sweden""".split()

MONTHS = "January February March April May June July August September October November December".split()
DAYS = "Monday Tuesday Wednesday Thursday Friday Saturday Sunday".split()
SHORT_MONTHS = [month[:3] for month in MONTHS]
SHORT_DAYS = [day[:3] for day in DAYS]

ADJECTIVES = """able active afraid alive alone amazing ancient angry awake bad bitter black blue bold brave
brief bright broken brown busy calm careful cheap clean clear clever close cloudy cold common cool correct crazy
curious daily dark dead deep direct dirty double dry early easy empty equal exact extra fair false famous fancy
fast fat final fine first flat foreign free frequent fresh friendly front full funny future gentle giant glad
gold golden good grand great green guilty half handsome happy hard healthy heavy helpful high hollow honest hot
huge hungry ideal idle jolly kind large last late lazy left legal light likely little local lonely long loose
loud lovely low lucky main major mild minor modern narrow national natural near neat new nice noisy normal odd
old only open original outer pale past perfect plain pleasant polite poor popular possible pretty private proud
public pure purple quick quiet rainy rapid rare raw ready real recent red regular rich right ripe rough round
royal sad safe salty same second secret senior serious sharp shiny short silent silly silver similar simple
single slow small smart smooth soft solid sorry sour special spicy steady steep strange strict strong sudden
sunny sweet tall tender thick thin third tidy tight tiny tired total tough true ugly unique upper useful usual
vast violet warm weak weekly wet white whole wide wild wise wooden wrong yellow young""".split()

VERBS = """accept add agree allow answer appear apply argue arrive ask avoid bake begin believe bend blow borrow
break breathe bring build burn buy call cancel carry catch change check choose clap climb close collect come
compare connect cook copy count cover create cross cry cut dance decide deliver describe design dig dive divide
download draw dream drink drive drop earn eat edit enjoy enter explain explore export fall feed feel fight fill
find finish fix float fly fold follow forget forgive freeze gather give grow guess hang hear help hide hold hope
hunt hurry import improve include install invite join jump keep kick kneel knock know laugh launch lead learn
leave lend lift listen live load look lose love make manage measure meet melt mix move need obey offer order
pack park pass pause pay pick plan play point pour practice pray prepare press print promise pull push put raise
reach read receive record relax remember remove rename repair repeat reply request rescue reset rest restart
return ride rise roll rub run save say search see sell send serve set sew shake shout show shut sing sit skip
sleep smell smile sneeze sort speak spell spend spread stand start stay steal stir stop study submit swim swing
take talk taste teach tear tell thank think throw touch travel trust try turn type undo update upload use view
visit vote wait wake walk wash watch wear weigh welcome whisper win wish wonder work worry wrap write""".split()

MORE = """about above across action address advice after again age air album alarm almost along also always
amount anger animal april area army art attack aunt autumn away battle beauty before behind below beside best
better between birth birthday blood body bone both bottom brain branch breath budget business care case cause
cent chance chapter choice circle class cloud code color comfort company concert contract contest cost cotton
course credit crowd culture danger data date dawn day deal death debt degree demand detail diamond diet dinner
disease dollar doubt down dozen during dust each ear earth east edge education effect eight eighty either eleven
end energy enough error evening event ever every exam example excuse eye face fact faith fear fever few fifteen
fifty fire five flight flood fog foot force form forty forward four fuel fun glory goal grade grain grass ground
group habit hair hand harm hate head health heart heat height help here hobby holiday hour human humor hundred
hunger ice idea income inside interest job journey joy jump justice knee knowledge language law leg length
lesson level life line lip list logic luck lunch machine magic market math meal meaning member memory message
metal method midnight million mind minute model moment money month mood moon morning mouth movie much music myth
name nation nature neck never news next night nine ninety noise noon north nose note nothing number often once
one opinion other outside over page pain part party pattern peace percent period piece place planet poem power
present pressure price pride prize problem process profit progress project proof purpose quality quarter
question race rain rate reason report result reward rhythm river rock role roof root rule salt sand scene
science score sea season secret sense series seven seventy shade shadow shape side silence six sixty size skill
skin sky smoke snow society song soul sound source south space speech speed spirit sport spring star state steam
steel step stone storm story strength style success summer sun supper surface surprise system talent target task
taste tax ten text theory thing thirty three thunder time title today together tomorrow tongue tonight tooth
topic trade tradition traffic trip trouble truth twelve twenty two under until value victory video view voice
volume vowel war waste wave way wealth weather wedding week weekend weight west while wind wing winter wisdom
wood word world year yesterday yet young zero""".split()

SIGNS = """ATM BUS CAFE CASH CAUTION CLOSED DANGER DELIVERY DOWN ELEVATOR ENTER ENTRANCE EXIT FIRE FOOD FREE GAS
GATE HELP HOTEL INFO KEEP LEFT LIFT MEN MENU NEW NOTICE OFFICE OPEN PARKING PHARMACY PIZZA POLICE POST PRIVATE
PULL PUSH RECEPTION RENT RESTROOM RIGHT SALE SCHOOL SHOP SLOW SOLD STAFF STAIRS STOP TAXI TICKETS TOILET WAIT
WARNING WELCOME WIFI WOMEN YIELD ZONE""".split()

NOUNS = sorted({*GOODS, *THINGS, *ANIMALS, *PLACES, *PEOPLE})
WORDS = sorted({*NOUNS, *ADJECTIVES, *VERBS, *MORE, *NAMES, *CITIES, *MONTHS, *DAYS})
"""Every word, as it is spelt inside a sentence."""


def short(words: list[str], letters: int) -> list[str]:
    """Those of at most so many letters."""
    return [word for word in words if len(word) <= letters]


def number(rng: random.Random) -> str:
    """0 to 999, one, two and three digits equally often."""
    return str(rng.choice((rng.randint(0, 9), rng.randint(10, 99), rng.randint(100, 999))))


def price(rng: random.Random, top: int = 99) -> str:
    """`4.50`."""
    cents = rng.choice((0, 50, 25, 75, 90, 95, 99, rng.randint(0, 99)))
    return f"{rng.choice((rng.randint(1, 9), rng.randint(1, top)))}.{cents:02d}"


def clock(rng: random.Random) -> str:
    """`9:30`."""
    return f"{rng.randint(0, 23)}:{rng.choice((0, 15, 30, 45, rng.randint(0, 59))):02d}"


def date(rng: random.Random) -> str:
    """`12 May`."""
    return f"{rng.randint(1, 28)} {rng.choice(SHORT_MONTHS)}"


def code(rng: random.Random) -> str:
    """`B12`: a letter or two and two or three digits."""
    letters = "".join(rng.choice("ABCDEFGHJKLMNPRSTUVWXYZ") for _ in range(rng.randint(1, 2)))
    return f"{letters}{rng.randint(10, 999)}"
