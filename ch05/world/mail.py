"""Messages that come to a phone: from friends, from honest firms, from sellers and from thieves.

One message to a line; a line that starts with + goes on with the one before. {N} stands for a
number in digits, {n} for a small one in a word, {hour} for an hour of the day, {price} for a sum
of money and {big} for a large one, {code} for five digits, {phone} for a telephone number, {site}
for an address, {shop} for the name of a shop and {job} for something to do ("wash the car").
The remarks at the end say what became of a message; {A} is the person who got it.
"""

from ch05.world.phrasings import lines


def messages(text: str) -> tuple[str, ...]:
    """The messages of a block of text, each put back on one line."""
    return lines(text.replace("\n    + ", " "))


FRIENDS = messages("""
    Train stopped in the middle of a field near {T}. No idea why. Eat without me, {A}
    Sorry {B}, bus never came. Walking now, with you in {N} minutes
    We're cooking {food} on {day}, far too much of it. Are you two hungry? {A}
    {B}, did I leave my keys on your table? I'm locked out and it's raining. Pls look!
    Found the keys!!! They were in the fridge, next to the {food}. Don't tell {B}
    I still owe you {price} from {day}. Will you take cash, or shall I buy the next dinner?
    hey {B} can u lend me {price} till {day}? its for the school trip, mum's away. thx
    Can anybody give me a lift to {T} on {day}? I'll pay for the petrol and I don't sing. {A}
    There's room in the car for {n}. We leave at {hour}, please be outside, {B} hates waiting.
    I've lost my {thing} somewhere between the bakery and the bridge. Reward: one cake. {A}
    Somebody gave me two tickets for the theatre on {day}, they cost me nothing.
    + Will you come with me, {B}? Answer by {hour} or I'll ask my sister.
    Free tickets!! Well, two of them, for the match in {T}. Dad can't go. You want one?
    I WIN! {N} to {N} and {B} had the white pieces. Never laughed so much
    You won, {B}, I admit it. The {things} are yours. I claim a second game on {day}.
    URGENT: we have no milk and grandma is already at the door. Who's near a shop?
    Emergency!! What do I wear to {A}'s party, the green one or the blue one? Reply NOW
    Call me as soon as you get this. It's good news, I promise! {A}
    Thanks for last night, {B}. The {food} was lovely and so was the talk.
    Thank you for the flowers, they arrived today and the whole house smells of them. {A}
    thx for helping with the move, you're a star. my back hurts, does yours?
    Why did the clock go to the doctor? It had no time to get well. Ha! Love, Dad
    {A} told a joke at work and nobody laughed. I'm still laughing about that
    What's the plan for {day}? I could be in {T} by {hour} if the weather is good.
    Shall we try the new place next to {shop}? First coffee is on me. {A}
    {B} has a fever again, so no visit today. The doctor says rest and lots of tea.
    Can't come to work, I've lost my voice. Please tell {B}. The key to my desk is in the cup
    Feeling better, thank you for asking. I even ate some {food}. Back in the office on {day}.
    Our little one lost a tooth today and wants {price} for it. Prices are rising!
    Could you collect {A} from school? My meeting won't end before {hour}. Thanks a million
    The cat has caught a mouse and put it in your left shoe. Just so you know. {A}
    Has anyone seen our dog? He jumped over the fence near the mill.
    + He's brown and friendly and will do anything for cheese. Please call {phone}, any hour
    The rabbit's fine, the sofa isn't. See you on {day}, and please don't be angry. {A}
    Boss wants the numbers by {hour}. Can you check my account of the trip before I send it?
    Well done everyone, the customer loved our offer! There's cake on {B}'s desk. {A}
    {B}, the printer is broken again. Password for the other one is on the door, don't laugh
    I've read your report. Two small mistakes on page {N}, the rest is excellent. {A}
    Who took my {thing}? No questions asked, just put it back before {hour}.
    HAPPY BIRTHDAY {B}!!! Your present's too big for the post so you must come and get it
    Mum, I passed! The teacher even shook my hand. Can we have {food} tonight?
    Did the parcel come? It should be there by now. Don't open it before your birthday! Gran
    My phone fell in the soup. It works but it smells of onions. Ring the landline instead
    I'm at {shop} and they've only got the red one. Shall I take it? It's {price}. Quick!
    Can you {job} before {hour}? The guests are coming early. Sorry, and thank you. {A}
    I'll {job} if you do the cooking. Deal?
    Good luck today, {B}! You know it all, and if you don't, smile. xx
    Please transfer your part for the boat when you have time, {price} each. No hurry. {A}
    Got your money, thanks, all paid now. Want the receipt or shall I throw it away?
    {A} says there's a discount for groups of ten. We are {n}. Do you know any more people?
    Be careful, {B}: my mail was hacked. If I ask you for vouchers or money, it isn't me!
    Grandpa got one of those calls about a prize. He told them to keep it and hung up.
    + Proud of him! {A}
    I'm bored. Nothing on, nobody here, rain. Tell me something nice
    ok see you at {hour} by the fountain
    No, not the {thing}, the other one! Oh never mind, I'll show you on {day}. {A}
    Miss you too. Only {N} days now. Kiss the children from me
    Sorry I didn't answer, I was in the bath. What did you want to know, {B}?
    Dear {B}, I was sorry to hear about your uncle. He was a good man and he made us laugh.
    + If there is anything I can do, you only have to ask. Yours, {A}
    The band needs a drummer by {day}! It's not paid, but there's free beer. Any offers?
    Do you need a {thing}? We've got two since the wedding. Yours for nothing, {B}
    Choir is at {hour} this week, bring the song with the birds. Tea afterwards. {A}
    Landed safely. The sea is warm, the room is small and the food is wonderful. Love to all
    We got the flat!!! Deposit paid, keys on {day}. Can't believe it. Party in {month}
    Don't forget to sign the card for {B}, it's in my drawer under the newspaper.
    U up? I can't sleep, the neighbours are dancing again
    Last chance to say no: I'm booking the cottage tonight, {price} a head. {A}
    I had a look at your bike, {B}. New chain, new bell, that'll do. You owe me {food}!
    Wrong {A}, sorry! That message was meant for my brother. Have a nice day though
    Are you the one who left {food} at my door? I could hug you. {A}
    Snow!! School's closed!! Get your sledge and meet us on the hill at {hour}
""")

SERVICES = messages("""
    A reminder of your appointment with the dentist on {day} at {hour}. To move it, ring {phone}.
    Dear {A}, we have a place for you on {day} at {hour}. Please reply YES if you can come.
    Your order from {shop} left our warehouse today and will be with you on {day}.
    Hello {A}, your parcel is on its way. Nothing is due at the door. Your driver is {B}.
    We delivered the {things} you ordered at {hour} and left them with your neighbour.
    Nobody was at home today. Your parcel waits at {shop} for {n} days; bring some proof of name.
    {T} Library: the book you asked for has arrived. We keep it for you until {day}.
    Library notice: {n} of your books are late. There's no fine if you return them by {day}.
    {code} is your security code. Never tell anyone this number. Our staff will not ask for it.
    Use {code} to confirm your payment of {price} to {shop}. If it wasn't you, call the number
    + on the back of your card. Do not share this code.
    You changed your password today at {hour}. If that was you, there is no more to do.
    Thank you, we have received your payment of {price}. Invoice {N} is now settled.
    Invoice {N} for {price} is attached, to be paid by the end of {month}. With thanks, {shop}
    Your statement for {month} is ready. Sign in as usual to read it; we never send links.
    Your balance on {day} was {big}. This weekly note can be switched off in the settings.
    Refund: {price} for the {thing} you returned is going back to your card. Allow {n} days.
    The school will close at noon on {day} because of the storm. Buses leave at {hour}.
    Dear parents, class {N} visits the castle in {T} on {day}. Please pack lunch and boots.
    {A} was not in class this morning. Please let the school office know that all is well.
    Your landlord here. The roof will be repaired on {day}, there may be some noise. Sorry! {A}
    Thank you for the deposit of {big}. You'll get it back when you hand over the keys. {A}
    Rent goes up by {price} from {month}, as we agreed in the contract. Any questions, call me.
    Garage {A}: your car has passed its test. It only needed a lamp, {price}. Open until {hour}.
    The part for your car is late, sorry. We hope to finish on {day}. You can keep our van
    + till then, at no cost. {A}, garage
    Doctor {A}'s practice is closed in the first week of {month}. If urgent, ring {phone}.
    Your results are back and they are normal. No need to call. Doctor {B}
    It's time for your flu vaccination. Choose a day at the desk or on {phone}. It's free.
    Membership renewed, thank you, {A}! Your new card comes by post in {month}.
    The club's summer party is on {day} from {hour}. Members pay {price}, children nothing.
    Chess club: no evening on {day}, the room is booked. See you a week later. {A}
    POWER CUT in {T} on {day} from {hour} for about {n} hours. Please keep fridges shut.
    The water will be turned off in your street on {day}. It should be back by {hour}.
    Your gas meter must be read this month. Send the figures or let {A} in on {day} at {hour}.
    Delivery today between {hour} and noon. Everything is paid, please just open the gate.
    Your table at {shop} is reserved for {n} people, {day} at {hour}. We're happy to see you!
    Booking {code} confirmed: {n} nights in {T}, {price} each, pay at the hotel.
    Your flight to {T} is delayed until {hour}. We are sorry. Show this message for a hot drink.
    Train {N} to {T} will not run on {day}. Tickets are good for any other train that day.
    {shop} is closed on {day} and opens again at {hour} the day after. Happy holidays!
    New opening hours at {shop} from {month}: every day but Sunday, until {hour}.
    Dear {A}, you wrote to us about the broken {thing}. We'll send another one, without charge,
    + and you may keep the first. Please accept our apologies. {B}, {shop}
    Sorry, the {thing} you wanted is sold out. Would you like your money back, or wait for {month}?
    Your {things} are ready to be collected. Please bring the ticket. {shop}
    Thanks for your order! You chose: {N} {things}. Total {price}, paid with your voucher.
    The voucher you bought for {B} has been sent by post. It's valid for {n} years.
    Your subscription to the {T} Times ends in {month}. If you do nothing, it simply stops.
    You have cancelled your membership. We're sad to see you go, {A}. Nothing more will be taken.
    You've unsubscribed and won't hear from us any more. All the best from {shop}
    Bank notice: our branch in {T} moves to the market square in {month}. Your card stays valid.
    Your new card was posted today. The code follows in a separate letter. Keep them apart.
    WARNING from your bank: thieves are sending false messages in our name. We never ask you to
    + move money or to read out a code. When in doubt, hang up and visit us.
    A payment of {price} to {shop} was refused, your balance is too low. You may try again later.
    Dear customer, thank you for your call. Your question has number {code} and {A} is on it.
    Hairdresser: see u on {day} at {hour}, {A}! Can't make it? Just text back, no charge
    The vet has your dog's pills. They are {price}, or you can send the bill to your insurance.
    Your glasses have come in. Please drop by for a fitting, it takes ten minutes. {A}, optician
    Piano lesson moved to {day}, same hour. Please practise the slow part. {A}
    Tax office: your return has arrived. You will get a letter in {month}. Please do not reply.
    {T} Council: paper is collected on {day}, glass a week later. Boxes out by {hour} please.
    We've got your application for the job in {T} and would like to meet you on {day} at {hour}.
    + The way to our office is shown at {site}. Best regards, {A}
    Your wages for {month} have been paid into your account. The slip is in your box. {A}
    Museum of {T}: here are your {n} tickets, number {code}. Show them at the door. Enjoy!
    You won third prize in the school's drawing contest, {A}! Prizes are given out on {day}
    + in the hall. Parents are welcome, and there will be tea.
    The plumber will be with you on {day}. It's {price} an hour, and he brings the tap. {shop}
    You left a {thing} at the swimming pool. It's in the lost property box, ask for {A}.
    Blood donors are needed in {T} on {day}. You last gave in {month}, so you may give again.
    Your question about parking: guests may stay for {n} hours free of charge. {A}, town hall
    To read the notes of the meeting go to {site}. The vote on the playground is on {day}. {A}
    Sale for our regular customers on {day}: {things} from {price}. You get this because you
    + joined our list in the shop. To leave it, tell us or text STOP.
""")

ADVERTS = messages("""
    CONGRATULATIONS! You're the lucky winner of {big}! Ring {phone} now and claim your prize.
    You have been chosen from {N} customers. Your reward is waiting: {site}
    Free gift!! A {thing} for everyone who replies before {hour}. Text GIFT to {code}
    Your number came up in our weekly draw. To get your {big}, phone {phone}. Calls cost {price}.
    LAST CHANCE, {A}! Your prize of {big} goes to somebody else at {hour}. Click: {site}
    Need cash today? Borrow up to {big}. No questions, no papers. Text LOAN to {code}
    Bad credit? Old debts? We say YES when your bank says no! {big} in one hour, {phone}
    New phone for only {price} a week! Camera, games and music. Limited offer, call {phone}
    Is your phone older than {n} months? Swap it FREE for the newest model. Text SWAP to {code}.
    + Contract {price} per week. Reply STOP to end.
    Join now and the first month is free, then {price} a week until you cancel. {site}
    Jokes, songs and stars on your phone every day! Text FUN to {code}, {price} per message
    Somebody near {T} likes you a lot. Want to know who? Text HEART to {code}, {price} a reply
    Hi, it's {A}! I'm lonely tonight and I love to chat. Call {phone}, {price} a minute, 18+
    Hiya, been thinking about u all day. See my pictures at {site} xx {A}
    hey its {A}, remember me from {T}? i've found a great way to make {big} a month.. ask me how
    Dear customer, your points are worth {price} and end today. Spend them now at {site}
    Click here for {price} off everything: {site}. Only today. Only for you. Only while stocks last
    DISCOUNT! DISCOUNT! {things} at half price, {things} nearly free! Hurry to {site}
    Double your money at our casino. We give you {price} to start with. Play at {site}
    {N} free spins are in your account, {A}. Log in and win {big} tonight!
    You could be a millionaire by {day}. Your first ticket costs only {price}. Play: {code}
    Lose {N} pounds by {month} without giving up {food}! Doctors are amazed. {site}
    Can't sleep? Tired all day? Our new pill helps or your money back. Order on {phone}
    Look ten years younger in a week! Free sample, postage only {price}. Text YOUNG to {code}
    Your roof is getting old. Our team is in {T} this week and gives you a special price. {phone}
    You may be paying too much for power! Save {big} a year. It takes two minutes: {site}
    Had an accident lately? It wasn't your fault? You could get {big}. Reply CLAIM, or STOP to end
    Our records show that money is owed to you after your fall. Ring {phone}, a friendly voice
    + waits.
    Insurance for your {thing} from {price} a month. Think of your family. Call {A} on {phone}
    A free holiday for two! Sun, sea and a good hotel. Just come to our talk in {T} on {day}.
    You have won a cruise!! Pay only the harbour charges of {price}. Answer quickly, {n} cabins left
    Cheap flights, cheap hotels, cheap everything. We beat any price. {site}
    Exclusive invitation: only {n} seats left for our evening on how to get rich. {T}, {day},
    + {price}
    Buy gold now, before it's too late. Clients of ours made {big} since {month}. {phone}
    This coin will go up tenfold. Get in early. My friends and I did. {site}
    I quit my job thanks to this one trick. You can, too. Let me show you how, {A} at {site}
    Hi {A}, how are you? We miss you at {shop}! Come back and get a voucher worth {price}.
    A little bird told us it's your birthday soon. Pick your free present at {site} :-)
    Final notice: your offer ends at {hour}. {things}, {things} and more for {price}
    What do you think of us? Fill in {n} short questions and win a {thing}. Your card number
    + is needed
    + for postage.
    We need {N} people to try our new {thing}. Keep it afterwards! Sign up: {site}
    Guess the film and win {big}! Text A for Jaws or B for Bambi to {code}. {price} per text
    Who sings best? Vote for {A}! Text {N} to {code}. Every vote could win you a car. {price} each
    The stars have a message for you. Money, love, a stranger. Hear it on {phone}, {price} a minute
    Madam {A} dreamed of your name. She'll tell you the numbers of next week's lottery for {price}.
    GET RICH FROM HOME! Fill envelopes, earn {price} per hour. Starter kit {price}, call {phone}
    Earn your diploma without study or exams. Papers in {n} days. Ask for {A}, {phone}
    Brand new watches, same look as the famous ones, {price}. Nobody will see the difference
    No more bills for TV! Our box gets every channel. One payment of {price} and that's it. {site}
    Your ringtone is old! Get the song of the summer, text TUNE to {code}. Subscription {price}/week
    Thank you for joining Fun Club! {price} will be added to your bill each week. STOP to {code}
    Unwanted messages? Text BLOCK to {code} and we'll stop them for {price} a month.
    DON'T DELETE THIS! The people who did are sorry now. {big} is at stake. Phone {phone}
    Good morning! A smile costs nothing, and so does your first box of {food}. Later boxes {price}.
    {A}, you're preapproved. Card with {big} limit, no checks. Tap {site} to accept, reply
    + STOP to refuse
    Win win win! {things}, holidays, cash! Each text is a new chance. Send WIN to {code}
    Every tenth caller gets {big}. The next one could be you. Lines close at {hour}, {phone}
    Exciting news for people in {T}: we buy your old {things} for cash. Top prices, {phone}
    Sell your house fast! We pay today, any condition. No agent, no waiting. Text HOUSE to {code}
    Only {n} left!!! The {thing} everybody wants, yesterday {big}, now {price}. Secure yours: {site}
    Your free trial of {n} days begins now. After it we take {price} monthly. Enjoy!
    Is your hair getting thin? So was {A}'s. One bottle, {price}, and look at him now. {site}
    Dear friend, we've doubled your bonus. It is valid for tonight only. Deposit {price}, play
    + with {big}
    Want followers? {N} new friends for {price}. Be famous by {day}! {site}
    Your neighbours in {T} have already switched. Don't be the last to pay more. Dial {phone}
    The secret of a happy marriage, now in a book for {price}. Order today and get a {thing} free
    You've got one new voice message from someone who admires you. To listen, call {phone}
    Reply YES for your free {thing}. By replying you agree to pay {price} a week.
""")

TRICKS = messages("""
    Your account has been locked for your security. To open it, confirm your details at {site}
    Dear customer, we noticed a strange payment of {big}. Not yours? Log in here at once: {site}
    Your card will be blocked at {hour}. Verify the number and the code on the back: {site}
    Your parcel could not be delivered. Please pay the small fee of {price} at {site}
    Customs is holding your parcel. Pay {price} by {day} or it is sent back. {site}
    The address on your parcel isn't complete. Update it, and your card details, at {site}
    Hi mum, I broke my phone, this is my new number. Can you write to me here? x
    Hello dad its me, new number! cant get into my bank, can u pay a bill for me? {price},
    + back {day}
    Mum? I'm in trouble and can't talk. Please send {big} now and don't tell Dad. I'll explain later
    Granny, it's your favourite grandchild! Guess who! I need a little help with a car I've found
    Unpaid toll: {price}. Settle it before {day} to avoid a fine of {big}. {site}
    TAX OFFICE: you owe {big}. An officer is on his way. Call {phone} now to stop the arrest.
    You are entitled to a tax refund of {price}. Give your account number so we can pay it: {site}
    Your parking fine of {price} is overdue. It doubles at {hour}. Pay with vouchers, code to
    + {phone}
    I am a lawyer in {T}. A rich man with your family name has died and left {big}. Let's share it.
    Dear beloved, I'm old and ill and have no children. I want to give you my fortune of {big}.
    + I only need your full name, your bank and {price} for the papers. Bless you, Mrs {A}
    Greetings from a prince without a country. My gold needs a safe home. Can I trust you?
    Hello, by mistake {price} of mine went to you! Could you please send it back today? {A}
    Oh no, wrong transfer, that was my rent!! Pls return it to this other account, I'm begging you
    Easy job from home, {big} a week. You receive money and pass it on. No experience needed.
    We saw your profile and we're impressed! {price} an hour for liking pictures. Start today, {A}
    You've got the job! No interview needed. First buy your computer from our partner, {big}.
    + We'll pay it back with your first wages.
    Your password expires today. Keep the old one by typing it in at {site}. IT team
    Your mailbox has no room left, and {N} new mails wait outside. Enter your password to get
    + them: {site}
    Prize department: your {big} is ready to send. We only need the transfer fee of {price} first.
    Your lottery cheque is lying on my desk. Pay the tax of {price} and it's yours tomorrow. {A}
    Sweet puppy, free to a loving family, we moved abroad. You only pay the transport, {price}.
    The parrot is yours, my dear, but the airline wants {price} more for its cage. Send it quickly
    {A}, are you at your desk? I'm sitting with clients, so no calls. Buy {n} gift cards of {price}
    + and send me the codes. It's a surprise for the team, so keep it secret. The boss
    Hi {B}, it's the director. Please make an urgent transfer of {big} before {hour}. I trust you.
    Our bank has changed. Please pay invoice {N}, {big}, to the new account {code} from now on.
    Hello {A}, it was nice to meet you in {T}! Oh, this isn't {A}? How funny. You seem kind,
    + shall we be friends? I trade coins, by the way, and it's going very well.
    My darling, I've booked my flight to you, but my wallet was stolen. {big} would save us. {B}
    I'm a soldier far from home and I liked your picture. Are you married? Can we write?
    The surgeon won't begin until he's paid. You're the only one I can ask, my love. {big}, please
    I sent you a code by mistake, six digits. Can you tell me what it says? Thanks, {A}
    You just got a code from us. Read it to our agent, to stop the thief in your account.
    This is your bank. Thieves are in your account! Move your money to this safe one: {code}
    Microfix support: your computer has {N} viruses. Don't turn it off, call {phone} immediately
    Your antivirus was renewed for {big}. To cancel and get a refund, call {A} on {phone}.
    Your film subscription has stopped because a payment failed. Enter your card again: {site}
    Is that you in this video?? Everyone's laughing about it {site}
    I have watched you through your camera. Pay {big} in coins or all your friends get the film.
    You missed a call from the court. Press one or ring {phone} to avoid prison. Do not ignore this
    We found your lost {thing}. Pay {price} for the postage and we'll send it. No visits please.
    Dear owner, your phone was found in {T}. Type in your screen code to see where it is: {site}
    I like your {thing} and will pay double! My driver brings the money, you only pay
    + his insurance of {price} first. Send me your account and card number. God bless, {A}
    Flat in the middle of {T}, garden, {price} a month! I'm abroad, so send the deposit of {big}
    + and I will post you the keys. Many others are asking, so be quick.
    Two tickets for the sold-out concert, {price}. I can't go, so sad. Pay first, then I mail them
    Children are hungry in {T} and winter's here. Give {price} now by voucher, the code is enough.
    Hello from your old school friend! I'm stuck abroad, lost my passport. Could you wire {big}?
    Please vote for my daughter, she's in the last round! Log in with your number at {site}
    You're invited to our wedding!! Open the card to see who and when: {site}
    We switch your power off at {hour}, as one bill was never paid. Call {phone}
    Government help for families: {big} each. Register with your card and passport at {site}
    Your neighbour told on you. Pay {price} today and we'll forget about the TV licence. {site}
    We couldn't check your identity. Send a photo of your card, both sides, or lose your membership.
    Invest {price} with me and have {big} by {day}. I did it for {A} and she cried with joy
    You lost money to thieves? We get it back! Our fee is only {price}, to be paid in advance.
    Your domain ends on {day}. Renew now for {big} or your website is gone. Invoice {N}
    Keep this message, send it to ten friends and luck will find you. {A} didn't and lost her house
    hello dear, how was your day? i think god sent me to your number. do you live alone?
    ur insurance has lapsed!! police check cars in {T} on {day}. pay {price} today at {site}
    We're calling from the hospital. {A} is here and needs a treatment which isn't covered.
    + Please pay {big} by phone, the doctors are waiting.
    Payment request: {A} asks you for {price}. To refuse it, enter your secret number.
    Your loan of {big} is granted. Pay {price} for the insurance and you'll have it tonight.
    It's {A} from the club, I have a small problem and I'm ashamed to ask. Can you keep a secret?
    FINAL REMINDER. You have not paid {big}. Our men will visit your home on {day}. {phone}
    Your voucher from {shop} is ready! Fill in your card number, we take only {price} for handling.
    They cheated you at the holiday flat and we have a list of victims. For {price} you're on it.
    Don't trust your bank, {A}. Someone there is stealing. Take out {big} and our man fetches it.
""")

GOOD_REMARKS = messages("""
    It was for {A} and nobody else, and {A} answered at once.
    {A} knew the sender well and was glad to hear from a friend.
    {A} had been waiting for this message all morning.
    It looked urgent, but {A} only laughed and called back.
    There was money in it, but it was honest money, and {A} knew the bill.
    {A} really had ordered something, so the message was right.
    {A} wrote the day and the hour in the calendar.
    It was a real notice, and it asked {A} for nothing.
    {A} had asked for the code, so it was fine, and {A} told it to nobody.
    {A} read it twice, smiled and kept it.
    The word free was in it, and yet nobody wanted to sell {A} anything.
    It came from people that {A} had dealt with for years.
    {A} checked with the shop, and everything was as the message said.
    {A} thanked the sender and put the phone away.
    Only a friend could have written that, thought {A}.
""")

BAD_REMARKS = messages("""
    {A} did not know the sender and threw it away.
    The same message had gone to thousands of people, and {A} was only one of them.
    {A} had never ordered anything there and did not click.
    There was no prize, of course, so {A} deleted it.
    {A} rang the real bank, and the bank had not sent it.
    It sounded friendly, but all it wanted was money.
    {A} has no son, and so the trick did not work.
    Nobody gives away that much for nothing, said {A}.
    {A} blocked the number and warned the neighbours.
    It was a trap, and {A} saw it in time.
    {A} had not asked for it and did not want it.
    Whoever wrote it was after the card, not after {A}.
    {A} never answers messages that are in such a hurry.
    It named no name, it promised a fortune, and {A} did not believe a word.
    Once {A} had paid for such a thing, and never again.
""")

# What stands above several messages: of all sorts, of the good ones, of the bad ones.
HEADINGS = {
    "all": lines("""
    Messages that {A} got on {day}
    On {day} {A} read these messages, one after the other.
    What the post and the telephone brought {A} in {month}:
    {A} showed {B} the messages of one day.
    """),
    "kept": lines("""
    Messages that {A} kept
    {A} answered all of these messages.
    These were meant for {A}, who was glad to have them.
    From the box in which {A} keeps the messages that matter
    """),
    "thrown away": lines("""
    Messages that {A} threw away
    {A} believed none of these messages and deleted them all.
    Nobody had asked for these, and {A} warned {B} of them.
    From the list of tricks that {A} keeps for the neighbours
    """),
}
